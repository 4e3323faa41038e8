/// Encodings of text that inputs may be in, other than UTF-8.
package enum TextEncoding: Hashable, Sendable {
    /// A byte order mark says which of the two.
    case utf16
    case utf16Little, utf16Big
    /// What a byte means stands in a table of 256 entries. The name is iconv's.
    case singleByte(String)
    /// ASCII where a character begins with a byte below 0x80. The name is iconv's.
    case multiByte(String)

    private static let names: [String: TextEncoding] = {
        var names: [String: TextEncoding] = [
            "utf-16": .utf16, "utf-16le": .utf16Little, "utf-16be": .utf16Big,
            // GB 18030 holds the older ones.
            "gb18030": .multiByte("GB18030"), "gbk": .multiByte("GB18030"), "gb2312": .multiByte("GB18030"),
            "big5": .multiByte("BIG5"), "shift-jis": .multiByte("CP932"), "euc-jp": .multiByte("EUC-JP"),
            "euc-kr": .multiByte("CP949"), "latin1": .singleByte("ISO-8859-1"),
            "koi8-r": .singleByte("KOI8-R"),
        ]
        for part in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16] {
            names["iso-8859-\(part)"] = .singleByte("ISO-8859-\(part)")
        }
        // Not 1255 and 1258, whose letters and marks are put together from two bytes.
        for page in [1250, 1251, 1252, 1253, 1254, 1256, 1257] {
            names["windows-\(page)"] = .singleByte("CP\(page)")
        }
        return names
    }()

    package var name: String {
        switch self {
        case .utf16, .utf16Little, .utf16Big: "UTF-16"
        case .singleByte(let name), .multiByte(let name): name
        }
    }

    /// Names that a topology may give, UTF-8's first.
    package static let known = ["utf-8"] + names.keys.sorted()

    /// The encoding of a name as people write it (`GB18030`, `Latin-1`, `cp1252`), with nil for UTF-8; nil:
    /// not known.
    package static func named(_ name: String) -> TextEncoding?? {
        var lower = String(name.lowercased().map { $0 == "_" || $0 == " " ? "-" : $0 })
        switch lower {
        case "utf-8", "utf8", "ascii", "us-ascii": return .some(nil)
        case "utf16", "utf16le", "utf16be": lower = "utf-16" + lower.dropFirst(5)
        case "latin-1": lower = "latin1"
        case "sjis", "shiftjis", "cp932", "windows-31j": lower = "shift-jis"
        case "cp936", "gb-18030": lower = "gb18030"
        case "cp949": lower = "euc-kr"
        default:
            if lower.hasPrefix("cp125") { lower = "windows-" + lower.dropFirst(2) }
            if lower.hasPrefix("iso8859-") { lower = "iso-8859-" + lower.dropFirst(8) }
        }
        return names[lower].map { .some($0) }
    }
}
