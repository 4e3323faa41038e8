import Base
import Connectors
import Records

/// Makes a month many times as large: every line so often, each time about other shops, accounts and loans,
/// so that each copy gives what the month gives.
enum CatchUpCopies {
    /// Members that name somebody or something.
    private static let names = [
        "loan_id", "merchant_id", "account", "from_account", "to_account", "transfer_id", "owner", "related",
    ]

    static func write(_ lines: CatchUpLines, copies: Int, to path: String) throws(Fault) {
        let writer = try FileWriter(path: path)
        let bytes = Arena(capacity: 1 << 16)
        for index in lines.lines.indices {
            let line = lines.line(index)
            guard let start = line.baseAddress else { continue }
            // Where the texts end that are told apart.
            let ends = names.compactMap { name -> Int? in
                guard let value = lines.value(name, index), let text = value.baseAddress else { return nil }
                let end = text - start + value.count
                return value.count > 0 && end < line.count && line[end] == 0x22 ? end : nil
            }.sorted()
            bytes.removeAll()
            for copy in 0..<copies {
                var from = 0
                for end in ends {
                    _ = bytes.append(start + from, end - from)
                    bytes.appendText("~\(copy)")
                    from = end
                }
                _ = bytes.append(start + from, line.count - from)
                bytes.appendByte(0x0A)
            }
            try writer.write(UnsafeBufferPointer(start: UnsafePointer(bytes.base), count: bytes.count))
        }
        try writer.flush()
    }
}
