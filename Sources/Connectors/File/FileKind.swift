import Records

/// What the first bytes of a file say about it.
enum FileKind {
    /// Beginnings of files that hold no lines of text, and what they are.
    private static let others: [(magic: [UInt8], what: String)] =
        [
            (
                Array("PK\u{3}\u{4}".utf8),
                "is a zip archive (so is an .xlsx file); unpack it, or export it as CSV"
            ),
            (Array("PK\u{5}\u{6}".utf8), "is an empty zip archive"),
            ([0x28, 0xB5, 0x2F, 0xFD], "is zstd; unpack it (plain, gzip and xz are read)"),
            ([0x04, 0x22, 0x4D, 0x18], "is lz4; unpack it (plain, gzip and xz are read)"),
            (Array("7z\u{BC}\u{AF}".unicodeScalars.map { UInt8($0.value) }), "is a 7z archive; unpack it"),
            (Array("Rar!".utf8), "is a rar archive; unpack it"),
            ([0x1F, 0x9D], "is packed by compress; unpack it"),
            ([0x1F, 0x8B], "is gzip within gzip; unpack it once"),
            ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "is xz within a packed file; unpack it once"),
            ([0xD0, 0xCF, 0x11, 0xE0], "is an old Office document; export it as CSV"),
            (Array("PAR1".utf8), "is Parquet; export it as JSON lines or CSV"),
            (Array("Obj\u{1}".utf8), "is a container of Avro; say format: avro"),
            (Array("SQLite format 3".utf8), "is an SQLite database; export it as CSV"),
            (Array("%PDF-".utf8), "is a PDF document"),
        ]
        + (0x31...0x39).map { level in
            (
                Array("BZh".utf8) + [level] + Array("1AY".utf8),
                "is bzip2; unpack it (plain, gzip and xz are read)"
            )
        }

    /// What the file is, if nothing in it can be read; `bytes` are its first ones, unpacked.
    static func refusal(_ bytes: UnsafeBufferPointer<UInt8>, encoding: TextEncoding?) -> String? {
        if let other = others.first(where: { bytes.starts(with: $0.magic) }) { return other.what }
        if bytes.dropFirst(257).starts(with: "ustar".utf8) { return "is a tar archive; unpack it" }
        if encoding != nil, bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            return "begins with UTF-8's byte order mark; take encoding out of its format"
        }
        let isLittle = bytes.starts(with: [0xFF, 0xFE])
        let isBig = bytes.starts(with: [0xFE, 0xFF])
        switch encoding {
        case .utf16:
            return isLittle || isBig ? nil : "has no byte order mark; say encoding: utf-16le, or utf-16be"
        case .utf16Little: return isBig ? "begins with the byte order mark of utf-16be" : nil
        case .utf16Big: return isLittle ? "begins with the byte order mark of utf-16le" : nil
        default: break
        }
        if isLittle || isBig { return "is UTF-16; say format: { …, encoding: utf-16 }" }
        return wide(bytes)
    }

    /// UTF-16 without a mark: of its ASCII characters every second byte is zero.
    private static func wide(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        let pairs = min(bytes.count, 1024) / 2
        var zeros = (even: 0, odd: 0)
        for index in 0..<pairs {
            zeros.even += bytes[2 * index] == 0 ? 1 : 0
            zeros.odd += bytes[2 * index + 1] == 0 ? 1 : 0
        }
        let isLittle = zeros.odd > pairs / 2 && zeros.even == 0
        guard isLittle || (zeros.even > pairs / 2 && zeros.odd == 0) else { return nil }
        return "looks like UTF-16; say format: { …, encoding: utf-16\(isLittle ? "le" : "be") }"
    }

    /// The byte that ends lines: a line feed, or a carriage return where there is no line feed at all.
    static func lineEnd(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt8 {
        bytes.contains(0x0D) && !bytes.contains(0x0A) ? 0x0D : 0x0A
    }
}
