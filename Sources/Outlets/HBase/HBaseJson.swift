/// The REST gateway's JSON: rows with keys, columns and values in base64 (RFC 4648).
package enum HBaseJson {
    package static func rows(_ rows: ArraySlice<HBaseTable.Row>, family: String) -> [UInt8] {
        var json = Array(#"{"Row":["#.utf8)
        for (index, row) in rows.enumerated() {
            if index > 0 { json.append(0x2C) }
            json += Array(#"{"key":""#.utf8)
            base64(row.key[...], into: &json)
            json += Array(#"","Cell":["#.utf8)
            for (place, cell) in row.cells.enumerated() {
                if place > 0 { json.append(0x2C) }
                json += Array(#"{"column":""#.utf8)
                base64(Array("\(family):\(cell.name)".utf8)[...], into: &json)
                json += Array("\",\"timestamp\":\(row.timestamp),\"$\":\"".utf8)
                base64(cell.value, into: &json)
                json += Array("\"}".utf8)
            }
            json += Array("]}".utf8)
        }
        json += Array("]}".utf8)
        return json
    }

    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func base64(_ bytes: ArraySlice<UInt8>, into text: inout [UInt8]) {
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let left = bytes.endIndex - at
            let word = UInt32(bytes[at]) << 16 | UInt32(left > 1 ? bytes[at + 1] : 0) << 8 | UInt32(left > 2 ? bytes[at + 2] : 0)
            text.append(letters[Int(word >> 18)])
            text.append(letters[Int(word >> 12 & 63)])
            text.append(left > 1 ? letters[Int(word >> 6 & 63)] : 0x3D)
            text.append(left > 2 ? letters[Int(word & 63)] : 0x3D)
            at += 3
        }
    }

    /// nil: it is none.
    package static func decodeBase64(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        var word: UInt32 = 0
        var count = 0
        var padding = 0
        for letter in text {
            let value: UInt32
            switch letter {
            case 0x41...0x5A: value = UInt32(letter - 0x41)
            case 0x61...0x7A: value = UInt32(letter - 0x61 + 26)
            case 0x30...0x39: value = UInt32(letter - 0x30 + 52)
            case 0x2B: value = 62
            case 0x2F: value = 63
            case 0x3D:
                value = 0
                padding += 1
            default: return nil
            }
            if padding > 0, letter != 0x3D { return nil }
            word = word << 6 | value
            count += 1
            guard count % 4 == 0 else { continue }
            bytes += [UInt8(truncatingIfNeeded: word >> 16), UInt8(truncatingIfNeeded: word >> 8), UInt8(truncatingIfNeeded: word)]
            word = 0
        }
        guard padding <= 2, padding <= bytes.count else { return nil }
        return Array(bytes.dropLast(padding))
    }

    /// What a scan answered; nil: it is no such answer.
    package static func read(_ body: [UInt8], family: String) -> [(key: [UInt8], cells: [(name: String, value: [UInt8], timestamp: Int64)])]? {
        var scanner = HBaseAnswer(body)
        return scanner.rows(family)
    }
}

/// Reads `{"Row":[{"key":"…","Cell":[{"column":"…","timestamp":1,"$":"…"}]}]}` with its members in any order.
private struct HBaseAnswer {
    typealias Cell = (name: String, value: [UInt8], timestamp: Int64)
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func rows(_ family: String) -> [(key: [UInt8], cells: [Cell])]? {
        var rows: [(key: [UInt8], cells: [Cell])] = []
        let isWhole = object { name, answer in
            guard name == "Row" else { return false }
            return answer.list { answer in
                var key: [UInt8]?
                var cells: [Cell] = []
                let isRow = answer.object { name, answer in
                    if name == "key" {
                        key = answer.text().flatMap { HBaseJson.decodeBase64($0) }
                        return key != nil
                    }
                    return name == "Cell" && answer.list { answer in
                        guard let cell = answer.cell() else { return false }
                        if cell.name.hasPrefix(family + ":") {
                            cells.append((String(cell.name.dropFirst(family.count + 1)), cell.value, cell.timestamp))
                        }
                        return true
                    }
                }
                guard isRow, let key else { return false }
                rows.append((key, cells))
                return true
            }
        }
        return isWhole ? rows : nil
    }

    private mutating func cell() -> Cell? {
        var column: [UInt8]?
        var value: [UInt8]?
        var timestamp: Int64 = 0
        let isCell = object { name, answer in
            switch name {
            case "column": column = answer.text().flatMap { HBaseJson.decodeBase64($0) }
            case "$": value = answer.text().flatMap { HBaseJson.decodeBase64($0) }
            case "timestamp":
                guard let number = answer.number() else { return false }
                timestamp = number
            default: return false
            }
            return true
        }
        guard isCell, let column, let value else { return nil }
        return (String(decoding: column, as: UTF8.self), value, timestamp)
    }

    private mutating func object(_ member: (String, inout HBaseAnswer) -> Bool) -> Bool {
        guard take(0x7B) else { return false }
        if take(0x7D) { return true }
        repeat {
            guard let name = text(), take(0x3A), member(String(decoding: name, as: UTF8.self), &self) else { return false }
        } while take(0x2C)
        return take(0x7D)
    }

    private mutating func list(_ element: (inout HBaseAnswer) -> Bool) -> Bool {
        guard take(0x5B) else { return false }
        if take(0x5D) { return true }
        repeat { guard element(&self) else { return false } } while take(0x2C)
        return take(0x5D)
    }

    /// Names and base64 need no escapes, but some writers put one before a slash.
    private mutating func text() -> ArraySlice<UInt8>? {
        guard take(0x22), let end = bytes[at...].firstIndex(of: 0x22) else { return nil }
        defer { at = end + 1 }
        return bytes[at..<end].contains(0x5C) ? bytes[at..<end].filter { $0 != 0x5C }[...] : bytes[at..<end]
    }

    private mutating func number() -> Int64? {
        skipSpace()
        let end = bytes[at...].firstIndex { $0 != 0x2D && !(0x30...0x39 ~= $0) } ?? bytes.count
        defer { at = end }
        return Int64(String(decoding: bytes[at..<end], as: UTF8.self))
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() { while at < bytes.count, [32, 9, 10, 13].contains(bytes[at]) { at += 1 } }
}
