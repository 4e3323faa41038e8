import Base
import Records

/// The beginning of a file as text, in whichever encoding it seems to be.
package struct FileHead {
    package var text: [UInt8]
    /// nil: UTF-8.
    package var encoding: String?
    /// The encoding is likely and no more.
    package var isUnsure = false
    /// The whole file is there.
    package var isWhole: Bool

    /// Encodings that are tried where a file is not UTF-8, in this order.
    private static let candidates = [
        "gb18030", "shift-jis", "big5", "euc-kr", "windows-1251", "windows-1252",
    ]

    /// At most so many unpacked bytes of the file.
    package init(_ path: String, bytesMax: Int) throws(Fault) {
        let reader = try ByteReader(path)
        let raw = Arena(capacity: bytesMax)
        raw.reserve(bytesMax)
        var isAtEnd = false
        while raw.count < bytesMax, !isAtEnd {
            let got = try reader.read(into: raw.base + raw.count, bytesMax - raw.count)
            raw.count += got
            isAtEnd = got == 0
        }
        isWhole = isAtEnd
        let bytes = UnsafeBufferPointer(start: UnsafePointer(raw.base), count: raw.count)
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            encoding = "utf-16"
        } else if let refusal = FileKind.refusal(bytes, encoding: nil) {
            guard refusal.contains("utf-16") else { throw Fault(.user, "\(path) \(refusal)") }
            encoding = refusal.contains("utf-16le") ? "utf-16le" : "utf-16be"
        }
        text = Array(bytes)
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { text.removeFirst(3) }
        if let encoding {
            text = try Self.converted(bytes, encoding, isAtEnd)
        } else if !Self.isUtf8(text, isWhole: isAtEnd) {
            var best = (name: "windows-1252", text: text, score: -1.0)
            for name in Self.candidates {
                let converted = try Self.converted(bytes, name, isAtEnd)
                let score = Self.score(converted)
                if score > best.score { best = (name, converted, score) }
            }
            (encoding, text, isUnsure) = (best.name, best.text, true)
        }
    }

    private static func converted(_ bytes: UnsafeBufferPointer<UInt8>, _ name: String, _ isAtEnd: Bool)
        throws(Fault) -> [UInt8]
    {
        guard let start = bytes.baseAddress, let encoding = TextEncoding.named(name) ?? nil else {
            return Array(bytes)
        }
        let text = Arena(capacity: bytes.count * 2)
        try Transcoder(encoding).convert(start, bytes.count, isLast: isAtEnd, into: text)
        var result = Array(UnsafeBufferPointer(start: UnsafePointer(text.base), count: text.count))
        if result.starts(with: [0xEF, 0xBB, 0xBF]) { result.removeFirst(3) }
        return result
    }

    /// A file that is cut may end within a character.
    private static func isUtf8(_ text: [UInt8], isWhole: Bool) -> Bool {
        (0...(isWhole ? 0 : min(3, text.count))).contains { cut in
            String(validating: text.dropLast(cut), as: UTF8.self) != nil
        }
    }

    /// How much of what is no ASCII is letters that are common: ideographs of the first plane, kana, Hangul,
    /// Cyrillic, Latin. Bytes that are nothing in the encoding, and signs between letters, tell against it.
    private static func score(_ text: [UInt8]) -> Double {
        var good = 0.0
        var all = 0.0
        let scalars = Array(String(decoding: text.prefix(200_000), as: UTF8.self).unicodeScalars)
        for (index, scalar) in scalars.enumerated() where scalar.value >= 0x80 {
            all += 1
            // Nobody writes a letter of another script by itself within a Latin word.
            let isAlone = [index - 1, index + 1].allSatisfy {
                !scalars.indices.contains($0) || scalars[$0].value < 0x80
            }
            let isInWord = [index - 1, index + 1].contains {
                scalars.indices.contains($0) && scalars[$0].properties.isAlphabetic
                    && scalars[$0].value < 0x80
            }
            if isAlone, isInWord, scalar.value >= 0x0370, scalar.value != 0xFFFD {
                good -= 1
                continue
            }
            switch scalar.value {
            case 0xFFFD: good -= 4
            // Level one of GB 2312 is what is written; rarer ones come of a wrong encoding.
            case 0x4E00...0x9FFF: good += 1
            case 0x3040...0x30FF, 0xAC00...0xD7A3: good += 1
            case 0x3000...0x303F, 0xFF00...0xFF5E: good += 0.8
            case 0xFF61...0xFF9F: good += 0.1
            case 0x0410...0x044F, 0x0401, 0x0451: good += 0.7
            case 0xC0...0xFF: good += 0.6
            case 0x20AC, 0xA3, 0xA5, 0x2013...0x201D: good += 0.5
            default: good -= 0.5
            }
        }
        return all == 0 ? 0 : good / all
    }
}
