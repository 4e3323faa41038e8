import Base
import Records
import Testing

/// Text of other encodings to UTF-8, in pieces of every size.
@Suite struct TranscoderTests {
    /// Letters and their bytes, as Python's codecs write them.
    static let letters: [String: [(letter: String, bytes: [UInt8])]] = [
        "latin1": [
            ("a", [0x61]), ("Z", [0x5A]), ("0", [0x30]), ("9", [0x39]), (" ", [0x20]), (",", [0x2C]),
            ("\"", [0x22]), ("\n", [0x0A]), (" ", [0x20]), ("é", [0xE9]), ("ÿ", [0xFF]), ("¡", [0xA1]),
            ("ß", [0xDF]), ("ñ", [0xF1]),
        ],
        "windows-1252": [
            ("a", [0x61]), ("Z", [0x5A]), (",", [0x2C]), ("\"", [0x22]), ("\n", [0x0A]), (" ", [0x20]),
            ("é", [0xE9]), ("€", [0x80]), ("“", [0x93]), ("”", [0x94]), ("ÿ", [0xFF]), ("™", [0x99]),
        ],
        "windows-1251": [
            ("a", [0x61]), (",", [0x2C]), ("Ж", [0xC6]), ("я", [0xFF]), ("№", [0xB9]), ("ё", [0xB8]),
        ],
        "iso-8859-15": [
            ("a", [0x61]), ("€", [0xA4]), ("Š", [0xA6]), ("œ", [0xBD]),
        ],
        "koi8-r": [
            ("a", [0x61]), (",", [0x2C]), ("Ж", [0xF6]), ("я", [0xD1]),
        ],
        "utf-16le": [
            ("a", [0x61, 0x00]), (",", [0x2C, 0x00]), ("\n", [0x0A, 0x00]), ("é", [0xE9, 0x00]),
            ("中", [0x2D, 0x4E]), ("🙂", [0x3D, 0xD8, 0x42, 0xDE]), ("𠀀", [0x40, 0xD8, 0x00, 0xDC]),
        ],
        "utf-16be": [
            ("a", [0x00, 0x61]), (",", [0x00, 0x2C]), ("\n", [0x00, 0x0A]), ("é", [0x00, 0xE9]),
            ("中", [0x4E, 0x2D]), ("🙂", [0xD8, 0x3D, 0xDE, 0x42]), ("𠀀", [0xD8, 0x40, 0xDC, 0x00]),
        ],
        "gb18030": [
            ("a", [0x61]), (",", [0x2C]), ("\n", [0x0A]), ("杭", [0xBA, 0xBC]), ("州", [0xD6, 0xDD]),
            ("义", [0xD2, 0xE5]), ("乌", [0xCE, 0xDA]), ("€", [0xA2, 0xE3]), ("é", [0xA8, 0xA6]),
            ("𠀀", [0x95, 0x32, 0x82, 0x36]), ("🙂", [0x95, 0x30, 0x85, 0x32]),
        ],
        "big5": [
            ("a", [0x61]), (",", [0x2C]), ("繁", [0xC1, 0x63]), ("體", [0xC5, 0xE9]), ("中", [0xA4, 0xA4]),
            ("文", [0xA4, 0xE5]),
        ],
        "shift_jis": [
            ("a", [0x61]), (",", [0x2C]), ("日", [0x93, 0xFA]), ("本", [0x96, 0x7B]), ("語", [0x8C, 0xEA]),
            ("ｱ", [0xB1]), ("表", [0x95, 0x5C]),
        ],
        "euc-jp": [
            ("a", [0x61]), (",", [0x2C]), ("日", [0xC6, 0xFC]), ("本", [0xCB, 0xDC]), ("語", [0xB8, 0xEC]),
        ],
        "euc-kr": [
            ("a", [0x61]), (",", [0x2C]), ("한", [0xC7, 0xD1]), ("국", [0xB1, 0xB9]), ("어", [0xBE, 0xEE]),
        ],
    ]
    static let names = letters.keys.sorted()

    private static func transcoder(_ name: String) throws -> Transcoder {
        let found = try #require(TextEncoding.named(name))
        return try Transcoder(try #require(found))
    }

    private func convert(_ transcoder: Transcoder, _ bytes: [UInt8], pieces: [Int]) -> [UInt8] {
        let text = Arena(capacity: 1)
        transcoder.reset()
        var at = 0
        for piece in pieces + [bytes.count] where at < bytes.count {
            let count = min(piece, bytes.count - at)
            bytes.withUnsafeBufferPointer {
                guard let start = $0.baseAddress else { return }
                transcoder.convert(start + at, count, isLast: at + count == bytes.count, into: text)
            }
            at += count
        }
        return Array(UnsafeBufferPointer(start: text.base, count: text.count))
    }

    @Test(arguments: names)
    func readsTexts(name: String) throws {
        let letters = try #require(Self.letters[name])
        let transcoder = try Self.transcoder(name)
        let seed: UInt64 = 100
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<300 {
            let text = (0..<random.next() % 600).map { _ in
                letters[Int(random.next() % UInt64(letters.count))]
            }
            let bytes = text.flatMap(\.bytes)
            let expected = Array(text.map(\.letter).joined().utf8)
            #expect(convert(transcoder, bytes, pieces: []) == expected)
            let pieces = (0..<200).map { _ in Int(random.next() % 9) }
            #expect(convert(transcoder, bytes, pieces: pieces) == expected, "\(pieces)")
        }
    }

    /// A byte order mark says which byte comes first; without one nothing does.
    @Test func byteOrderMarks() throws {
        let transcoder = try Self.transcoder("utf-16")
        #expect(
            convert(transcoder, [0xFF, 0xFE, 0x61, 0, 0x2D, 0x4E], pieces: [1, 1, 1, 1]) == Array("a中".utf8))
        #expect(convert(transcoder, [0xFE, 0xFF, 0, 0x61, 0x4E, 0x2D], pieces: []) == Array("a中".utf8))
        #expect(convert(transcoder, [0x61, 0], pieces: []).first == Transcoder.invalid)
        #expect(
            convert(transcoder, [0xFF, 0xFE, 0x3D, 0xD8, 0x61, 0], pieces: [3]) == [Transcoder.invalid, 0x61])
        #expect(convert(transcoder, [0xFF, 0xFE, 0x42, 0xDE], pieces: []) == [Transcoder.invalid])
    }

    /// Bytes of no encoding: the output is the same however they are cut, is UTF-8 but for the byte that
    /// stands for what is wrong, and nothing after them is lost.
    @Test(arguments: names)
    func anyBytes(name: String) throws {
        let transcoder = try Self.transcoder(name)
        let seed: UInt64 = 200
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let bytes = (0..<Int(random.next() % 400)).map { _ in
                random.next() % 3 == 0
                    ? UInt8(truncatingIfNeeded: random.next()) : UInt8(0x20 + random.next() % 0x5F)
            }
            let whole = convert(transcoder, bytes, pieces: [])
            #expect(
                convert(transcoder, bytes, pieces: (0..<400).map { _ in Int(random.next() % 7) }) == whole,
                "\(name): \(bytes)")
            #expect(String(validating: whole.filter { $0 != Transcoder.invalid }, as: UTF8.self) != nil)
            if !name.hasPrefix("utf"), let last = bytes.last(where: { $0 < 0x30 }) {
                #expect(
                    whole.filter { $0 == last }.count == bytes.filter { $0 == last }.count,
                    "\(name): \(bytes)")
            }
        }
    }

    @Test func namesPeopleWrite() throws {
        for (name, canonical) in [
            ("UTF-8", nil), ("utf8", nil), ("Latin-1", "ISO-8859-1"), ("iso_8859-15", "ISO-8859-15"),
            ("CP1252", "CP1252"),
            ("Windows-1252", "CP1252"), ("GBK", "GB18030"), ("gb2312", "GB18030"), ("Shift_JIS", "CP932"),
            ("UTF-16LE", "UTF-16"),
        ] as [(String, String?)] {
            let found = TextEncoding.named(name)
            #expect(found != nil && (found ?? nil)?.name == canonical, "\(name)")
        }
        #expect(
            TextEncoding.named("ebcdic") == nil && TextEncoding.named("") == nil
                && TextEncoding.named("windows-1258") == nil)
        for name in TextEncoding.known { #expect(TextEncoding.named(name) != nil, "\(name)") }
        for name in TextEncoding.known.dropFirst() {
            _ = try Self.transcoder(name)
        }
    }

    /// Latin-1's control characters are what Windows-1252 has letters for.
    @Test func latin1ThatIsWindows1252() throws {
        let transcoder = try Self.transcoder("latin1")
        #expect(
            convert(transcoder, [0x61, 0x80, 0xE9], pieces: []) == [0x61, Transcoder.invalid, 0xC3, 0xA9])
    }
}

@Suite struct EpochTimeTests {
    @Test(
        arguments: [
            ("1294222500000", Int64(60_000), nil, "1294222560000"),
            ("1294222500", 60_000, EpochTime.Unit.s, "1294222560"),
            ("1294222500", 250, .s, "1294222500.25"), ("1294222500.75", 250, .s, "1294222501"),
            ("1294222500000000", 1, .us, "1294222500001000"),
            ("1294222500000000001", 1, .ns, "1294222500001000001"),
            ("99999999999999", 1, .ms, "100000000000000"), ("-1", 1, .ms, "0"),
            ("1294222500000.5", 1, .ms, "1294222500001.5"),
        ] as [(String, Int64, EpochTime.Unit?, String)])
    func moves(number: String, by milliseconds: Int64, unit: EpochTime.Unit?, expected: String) {
        #expect(EpochTime.moved(number, by: milliseconds, unit: unit) == expected)
        #expect(EpochTime.moved("\"2011\"", by: 1, unit: unit) == nil)
    }

    /// Cutting is rounding down, at every scale, against division.
    @Test func cutsAreFloors() {
        let seed: UInt64 = 9
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<20_000 {
            let value = Int64(bitPattern: random.next()) >> Int64(random.next() % 50)
            let places = Int(random.next() % 10)
            let scale = Int(random.next() % 12) - 6
            let text = Decimal.string(value, scale: places)
            let bytes = Array(text.utf8)
            let found = bytes.withUnsafeBufferPointer {
                Decimal.parseCut($0.baseAddress!, $0.count, scale: scale)
            }
            let shift = scale - places
            let wide =
                shift >= 0
                ? Int128(value) * Int128(Decimal.powerOfTen(shift)) : floor(value, Decimal.powerOfTen(-shift))
            #expect(
                found == (Int64(exactly: wide).map { .success($0) } ?? .failure(.outOfRange)),
                "\(text) at \(scale)")
        }
    }

    private func floor(_ value: Int64, _ divisor: Int64) -> Int128 { Int128(floorDivide(value, divisor)) }
}

@Suite struct TextCutTests {
    @Test func noCharacterIsCut() {
        let text = "aé中🙂" + "🙂中éa" + "zz"
        let bytes = Array(text.utf8)
        for limit in 0...bytes.count + 2 {
            let kept = bytes.withUnsafeBufferPointer {
                TextCut.wholeCharacters($0.baseAddress!, $0.count, atMost: limit)
            }
            #expect(kept <= limit && kept > limit - 4 || kept == bytes.count)
            #expect(String(validating: bytes[..<kept], as: UTF8.self) != nil, "\(limit)")
        }
        // Of what is no UTF-8 all is kept.
        let wrong = [UInt8](repeating: 0x80, count: 10)
        #expect(
            wrong.withUnsafeBufferPointer { TextCut.wholeCharacters($0.baseAddress!, $0.count, atMost: 5) }
                == 5)
    }
}
