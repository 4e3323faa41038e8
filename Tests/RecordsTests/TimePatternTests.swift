import Base
import Glibc
import Records
import Testing

/// Times by patterns: against glibc's `strptime` and `timegm`, and by hand what those do not have.
@Suite struct TimePatternTests {
    private static func read(_ pattern: String, _ text: String) throws -> String? {
        let parsed = TimeProgram([try TimePattern(pattern)]).parse(text)
        return parsed.map { CivilTime.string($0.milliseconds) + ($0.hasZone ? "" : " local") }
    }

    @Test(
        arguments: [
            ("%Y/%m/%d %H:%M", "2023/1/5 8:03", "2023-01-05T08:03:00Z local"),
            ("%Y/%m/%d %H:%M", "2023/01/05  08:03", "2023-01-05T08:03:00Z local"),
            ("%d.%m.%Y", "05.01.2023", "2023-01-05T00:00:00Z local"), ("%d.%m.%Y", "31.02.2023", nil),
            ("%d.%m.%Y", "05.01.23", nil),
            ("%Y年%m月%d日 %H时%M分%S秒", "2023年1月5日 8时3分9秒", "2023-01-05T08:03:09Z local"),
            ("%Y-%m-%d %I:%M:%S %p", "2023-01-05 12:03:00 AM", "2023-01-05T00:03:00Z local"),
            ("%Y-%m-%d %I:%M %p", "2023-01-05 12:03 pm", "2023-01-05T12:03:00Z local"),
            ("%Y-%m-%d %p%I:%M", "2023-01-05 下午3:04", "2023-01-05T15:04:00Z local"),
            ("%Y-%m-%d %I:%M %p", "2023-01-05 13:03 PM", nil),
            ("%Y-%m-%d %I:%M %p", "2023-01-05 00:03 AM", nil),
            ("%Y-%m-%d %H:%M:%S %z", "2023-01-05 08:03:00 +0800", "2023-01-05T00:03:00Z"),
            ("%Y-%m-%d %H:%M:%S%z", "2023-01-05 08:03:00-05:30", "2023-01-05T13:33:00Z"),
            ("%Y-%m-%d %H:%M:%S %z", "2023-01-05 08:03:00 GMT+08:00", "2023-01-05T00:03:00Z"),
            ("%Y%m%dT%H%M%S%z", "20230105T080300Z", "2023-01-05T08:03:00Z"),
            ("%Y%m%d", "20230105", "2023-01-05T00:00:00Z local"), ("%Y%m%d", "2023115", nil),
            ("%y%m%d", "930101", "1993-01-01T00:00:00Z local"),
            ("%y%m%d", "680101", "2068-01-01T00:00:00Z local"),
            ("%d-%b-%Y", "05-JAN-2023", "2023-01-05T00:00:00Z local"),
            ("%b %d, %Y", "Sept 5, 2023", "2023-09-05T00:00:00Z local"),
            ("%d %b %Y", "5 October 2023", "2023-10-05T00:00:00Z local"), ("%d %b %Y", "5 Foo 2023", nil),
            ("%a, %d %b %Y %H:%M:%S %z", "Thu, 05 Jan 2023 08:03:00 +0800", "2023-01-05T00:03:00Z"),
            // The fifth was a Thursday: whoever says Friday means another day.
            ("%a, %d %b %Y", "Fri, 05 Jan 2023", nil),
            ("%Y/%m/%d %a", "2023/01/05 星期四", "2023-01-05T00:00:00Z local"),
            ("%Y-%j", "2024-366", "2024-12-31T00:00:00Z local"), ("%Y-%j", "2023-366", nil),
            ("%Y-%m-%d %H:%M:%S.%f", "2023-01-05 08:03:00.9999999", "2023-01-05T08:03:00.999Z local"),
            ("%Y-%m-%d %H:%M:%S", "2023-01-05 23:59:60", "2023-01-06T00:00:00Z local"),
            ("%Y-%m-%d %H:%M:%S", "2023-01-05 24:00:00", nil),
            ("%Y-%m-%d", "2023-01-05x", nil), ("%Y-%m-%d", "", nil),
            ("%F %T", "2023-01-05 08:03:00", "2023-01-05T08:03:00Z local"),
            ("100%% %Y-%m-%d", "100% 2023-01-05", "2023-01-05T00:00:00Z local"),
            ("%Y-%m-%d %Hh", "2023-01-05 8h", "2023-01-05T08:00:00Z local"),
            ("iso", "2023-01-05T08:03Z", "2023-01-05T08:03:00Z"),
        ] as [(String, String, String?)])
    func texts(pattern: String, text: String, expected: String?) throws {
        #expect(try Self.read(pattern, text) == expected, "\(text)")
    }

    @Test(arguments: [
        ("%d.%m", "it has no year; write %Y, or %y for two digits"), ("%Y-%m", "it has no day; write %d"),
        ("%Y", "it has no month; write %m, or %b for its name"),
        ("%Y-%m-%d %M", "it has the minute and no hour"),
        ("%Y-%m-%d %I:%M", "%I is an hour of half a day; write %p for AM or PM, or %H"),
        ("%Y-%m-%d %H:%M %p", "%p goes with %I, not with %H"), ("%Y-%m-%d %m", "it has the month twice"),
        (
            "%Y-%m-%dT%H:%M:%SZ",
            "'Z' at the end would be a letter without a meaning; write %z, which takes it as UTC"
        ),
        ("%Y-%m-%d %", "'%' stands at the end; '%%' is a percent sign"),
        ("%Y-%j-%d", "%j stands for month and day"),
    ])
    func mistakes(pattern: String, message: String) {
        #expect(throws: TimePattern.Mistake.self) { try TimePattern(pattern) }
        do { _ = try TimePattern(pattern) } catch { #expect(error.message == message) }
    }

    @Test func confusions() throws {
        func confused(_ a: String, _ b: String) throws -> Bool {
            TimePattern.confusion(try TimePattern(a), try TimePattern(b)) != nil
        }
        #expect(try confused("%d/%m/%Y", "%m/%d/%Y"))
        #expect(try confused("%m/%d/%y %H:%M", "%d/%m/%y %H:%M"))
        #expect(try confused("%y/%m/%d", "%d/%m/%y"))
        #expect(try !confused("%d.%m.%Y", "%m/%d/%Y"))
        #expect(try !confused("%d/%m/%Y", "%d/%m/%Y %H:%M"))
        #expect(try !confused("%Y-%m-%d", "iso"))
    }

    /// What glibc reads in random texts of random patterns, and of texts with one byte changed; where both
    /// read a time, it is the same one, and what glibc writes is read.
    @Test func agreesWithGlibc() throws {
        let seed: UInt64 = 2023
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let dates = [
            "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y", "%b %d, %Y", "%Y%m%d", "%y%m%d", "%d-%B-%Y",
            "%a, %d %b %Y", "%Y-%j",
        ]
        let times = ["", " %H:%M:%S", " %H:%M", "T%H%M%S", " %I:%M:%S %p"]
        var read = 0
        // Swift's Glibc does not declare it.
        typealias Strptime =
            @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutablePointer<tm>) ->
            UnsafePointer<CChar>?
        let strptime = unsafeBitCast(try #require(dlsym(nil, "strptime")), to: Strptime.self)
        for _ in 0..<20_000 {
            let text =
                dates[Int(random.next() % UInt64(dates.count))]
                + times[Int(random.next() % UInt64(times.count))]
            let program = TimeProgram([try TimePattern(text)])
            var seconds = time_t(Int64(random.next() % 3_155_760_000)) - 31_536_000
            var parts = tm()
            gmtime_r(&seconds, &parts)
            var buffer = [CChar](repeating: 0, count: 100)
            let count = strftime(&buffer, buffer.count, text, &parts)
            var bytes = buffer[..<count].map { UInt8(bitPattern: $0) }
            let isChanged = random.next() % 3 == 0
            if isChanged { bytes[Int(random.next() % UInt64(count))] = UInt8(32 + random.next() % 95) }
            let found = program.parse(String(decoding: bytes, as: UTF8.self))
            var theirs = tm()
            let end = (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { pointer -> Bool in
                guard let base = pointer.baseAddress, let end = strptime(base, text, &theirs) else {
                    return false
                }
                return end.pointee == 0
            }
            if !isChanged {
                #expect(found != nil, "\(text): \(String(decoding: bytes, as: UTF8.self))")
                read += 1
            }
            guard let found, end else { continue }
            theirs.tm_isdst = 0
            let expected = Int64(timegm(&theirs)) * 1000
            #expect(found.milliseconds == expected, "\(text): \(String(decoding: bytes, as: UTF8.self))")
        }
        #expect(read > 10_000)
    }

    /// What a pattern writes it reads, to the precision that it has.
    @Test func writesWhatItReads() throws {
        let seed: UInt64 = 7
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for text in [
            "%Y-%m-%d %H:%M:%S.%f%z", "%a, %d %b %Y %H:%M:%S.%f %z", "%d.%m.%Y %p%I:%M:%S.%f %z",
            "%Y%m%d%H%M%S.%f%z", "iso",
        ] {
            let pattern = try TimePattern(text)
            let program = TimeProgram([pattern])
            for _ in 0..<2000 {
                let time = Int64(random.next() % 8_000_000_000_000) - 3_000_000_000_000
                let offset = (Int64(random.next() % 57) - 28) * 1_800_000
                let written = pattern.string(time, offset: offset)
                #expect(program.parse(written)?.milliseconds == time, "\(written)")
            }
        }
    }

    /// No bytes whatever make it read behind the end or trap.
    @Test func hostileBytes() throws {
        let seed: UInt64 = 99
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let letters = Array("0123456789/-:. +TZapmAPMJanThu上午星期一%".utf8)
        let programs = try [
            "%Y/%m/%d %H:%M:%S.%f %z", "%a, %d %b %Y %I:%M %p", "%Y-%j", "%y%m%d%H%M%S%z", "%p %I %Y %B %d",
        ].map { TimeProgram([try TimePattern($0)]) }
        for _ in 0..<50_000 {
            let count = Int(random.next() % 30)
            // The buffer ends with the text, so that reading on would be seen by a sanitizer.
            let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, count))
            for index in 0..<count { bytes[index] = letters[Int(random.next() % UInt64(letters.count))] }
            for program in programs {
                guard let parsed = program.parse(bytes, count) else { continue }
                #expect(abs(parsed.milliseconds) < CivilTime.millisecondsMax)
            }
            bytes.deallocate()
        }
    }

    @Test(arguments: [
        (["2023/1/5 8:03"], ["%Y/%m/%d %H:%M"]), (["05.01.2023 08:03:00"], ["%d.%m.%Y %H:%M:%S"]),
        (["01/05/2023"], ["%d/%m/%Y", "%m/%d/%Y"]),
        (["01/05/2023", "01/25/2023"], ["%m/%d/%Y"]), (["20230105"], ["%Y%m%d"]), (["930101"], ["%y%m%d"]),
        (["2023年1月5日 08:03:00"], ["%Y年%m月%d日 %H:%M:%S"]),
        (["Thu, 05 Jan 2023 08:03:00 +0800"], ["%a, %d %b %Y %H:%M:%S %z"]),
        (["2023-01-05 08:03:00 AM"], ["%Y-%m-%d %I:%M:%S %p"]),
        (["Jan 5, 2023"], ["%b %d, %Y"]), (["Thu Jan 05 08:03:00 2023"], ["%a %b %d %H:%M:%S %Y"]),
        (["60.00"], []), (["hello"], []), (["A1"], []),
    ])
    func guesses(texts: [String], patterns: [String]) {
        #expect(TimeGuess.patterns(of: texts).map(\.text) == patterns)
    }
}
