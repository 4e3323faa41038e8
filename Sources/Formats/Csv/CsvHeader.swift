/// The names in the line of a CSV file that names its columns, read as far as they can be.
enum CsvHeader {
    /// nil: the line is not UTF-8.
    static func names(_ bytes: UnsafeBufferPointer<UInt8>, _ dialect: CsvFormat) -> [String]? {
        var names: [String] = []
        var at = 0
        while true {
            let field = Self.field(bytes, dialect, &at)
            guard let name = String(validating: field, as: UTF8.self) else { return nil }
            names.append(name)
            if at >= bytes.count { return names }
            // At a delimiter.
            at += 1
        }
    }

    /// The name at `at`, which then is that of the delimiter behind it, or the end.
    private static func field(
        _ bytes: UnsafeBufferPointer<UInt8>, _ dialect: CsvFormat, _ at: inout Int
    ) -> [UInt8] {
        func isBlank(_ byte: UInt8) -> Bool {
            dialect.isTrimmed && (byte == 0x20 || byte == 0x09) && byte != dialect.delimiter
        }
        while at < bytes.count, isBlank(bytes[at]) { at += 1 }
        var name: [UInt8] = []
        if let quote = dialect.quote, at < bytes.count, bytes[at] == quote {
            at += 1
            while at < bytes.count {
                if bytes[at] == dialect.escape, at + 1 < bytes.count {
                    at += 1
                } else if bytes[at] == quote {
                    at += 1
                    guard at < bytes.count, bytes[at] == quote else { break }
                }
                name.append(bytes[at])
                at += 1
            }
        }
        var tail: [UInt8] = []
        while at < bytes.count, bytes[at] != dialect.delimiter {
            tail.append(bytes[at])
            at += 1
        }
        while let last = tail.last, isBlank(last) { tail.removeLast() }
        return name + tail
    }
}
