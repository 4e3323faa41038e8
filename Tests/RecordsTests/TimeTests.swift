import Base
import Records
import Testing

/// Dates and ISO 8601 texts.
@Suite struct CivilTimeTests {
    /// A walk through the calendar day by day, by the plain rules for the lengths of months.
    @Test func everyDayOfEightHundredYears() {
        var (year, month, day): (Int64, Int64, Int64) = (1600, 1, 1)
        for number in CivilTime.day(
            year: 1600, month: 1, day: 1)...CivilTime.day(year: 2400, month: 12, day: 31)
        {
            let found = CivilTime.civil(day: number)
            guard found == (year, month, day), CivilTime.day(year: year, month: month, day: day) == number
            else {
                Issue.record("day \(number): \(found), not \(year)-\(month)-\(day)")
                return
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            day += 1
            if day > lengths[Int(month) - 1] { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect(CivilTime.day(year: 1970, month: 1, day: 1) == 0)
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", Int64(0), true), ("2011-01-05T10:15:00Z", 1_294_222_500_000, true),
        ("2011-01-05t10:15:00z", 1_294_222_500_000, true), ("2011-01-05 10:15:00", 1_294_222_500_000, false),
        ("2011-01-05T10:15", 1_294_222_500_000, false), ("2011-01-05T10:15Z", 1_294_222_500_000, true),
        ("2011-01-05", 1_294_185_600_000, false), ("2011-01-05T18:15:00+08:00", 1_294_222_500_000, true),
        ("2011-01-05T18:15:00+0800", 1_294_222_500_000, true),
        ("2011-01-05T18:15:00+08", 1_294_222_500_000, true),
        ("2011-01-05T04:45:00-05:30", 1_294_222_500_000, true),
        ("2011-01-05T10:15:00.5Z", 1_294_222_500_500, true),
        ("2011-01-05T10:15:00.123456789Z", 1_294_222_500_123, true),
        ("2011-01-05T10:15:00,07", 1_294_222_500_070, false),
        ("2012-02-29T00:00:00Z", 1_330_473_600_000, true), ("1969-12-31T23:59:59.999Z", -1, true),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000, true),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000, true),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999, true),
        ("2011-01-05T10:15+00:00", 1_294_222_500_000, true),
        ("2011-01-05 18:15:00 +0800", 1_294_222_500_000, true),
        ("2011-01-05 10:15:00 UTC", 1_294_222_500_000, true),
        ("2011-01-05 10:15:00.5 GMT", 1_294_222_500_500, true),
        ("2011-01-05 10:15 Z", 1_294_222_500_000, true),
    ])
    func reads(text: String, milliseconds: Int64, hasZone: Bool) throws {
        let parsed = try #require(CivilTime.parse(text))
        #expect(parsed.milliseconds == milliseconds)
        #expect(parsed.hasZone == hasZone)
    }

    @Test(arguments: [
        "", "2011", "2011-01", "2011-1-5", "2011-01-5", "2011/01/05", "20110105", "2011-13-01", "2011-00-01",
        "2011-01-00", "2011-01-32",
        "2011-02-29", "1900-02-29", "2011-04-31", "2011-01-05T", "2011-01-05T10", "2011-01-05T10:",
        "2011-01-05T10:1", "2011-01-05T24:00",
        "2011-01-05T10:60", "2011-01-05T10:15:", "2011-01-05T10:15:6", "2011-01-05T10:15:61",
        "2011-01-05T10:15:00.", "2011-01-05T10:15:00.Z",
        "2011-01-05T10:15:00ZZ", "2011-01-05T10:15:00+", "2011-01-05T10:15:00+8", "2011-01-05T10:15:00+08:",
        "2011-01-05T10:15:00+08:0",
        "2011-01-05T10:15:00+24:00", "2011-01-05T10:15:00+08:60", "2011-01-05T10:15:00 UT",
        "2011-01-05T10:15:00 ", "2011-01-05T10:15:00  Z", "2011-01-05T10:15:00UTC", "2011-01-05T10:15 CET",
        "2011-01-05x10:15:00", "2011-01-05Z",
        " 2011-01-05", "2011-01-05 ", "-011-01-05", "2011-01-05T10:15:00+08:00x", "２０１１-01-05",
    ])
    func refuses(text: String) {
        #expect(CivilTime.parse(text) == nil)
    }

    @Test func writesWhatItReads() throws {
        let seed: UInt64 = 8601
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for round in 0..<20_000 {
            // The years 0 to 9999.
            var time = Int64(random.next() % 315_569_519_999_999) - 62_167_219_200_000
            if round % 2 == 0 { time -= time % 1000 }
            let text = CivilTime.string(time)
            let parsed = CivilTime.parse(text)
            #expect(parsed?.milliseconds == time && parsed?.hasZone == true, "\(time): \(text)")
            #expect(text.utf8.count == (time % 1000 == 0 ? 20 : 24), "\(text)")
        }
    }

    /// Any bytes are read or refused; any number is written.
    @Test func anything() {
        var random = SplitMix64(seed: 3)
        let alphabet = Array("0123456789-:TZ+ .".utf8)
        for _ in 0..<50_000 {
            var bytes = Array("2011-01-05T10:15:00.25+08:00".utf8)
            for _ in 0...random.next() % 4 {
                bytes[Int(random.next() % 28)] = alphabet[Int(random.next() % 17)]
            }
            bytes.removeLast(Int(random.next() % 29))
            if let parsed = CivilTime.parse(String(decoding: bytes, as: UTF8.self)) {
                #expect(abs(parsed.milliseconds) < CivilTime.millisecondsMax)
            }
        }
        #expect(CivilTime.string(.min) == "-292275055-05-16T16:47:04.192Z")
        #expect(CivilTime.string(.max) == "292278994-08-17T07:12:55.807Z")
    }
}

/// Zones against constants computed by another implementation, and against their own definitions.
@Suite struct TimeZoneTableTests {
    private static func pairs(_ text: String) -> [(Int64, Int64)] {
        text.split { $0 == " " || $0 == "\n" }.map { pair in
            let parts = pair.split(separator: ":").compactMap { Int64($0) }
            return (parts[0], parts[1])
        }
    }

    @Test(arguments: ZoneSamples.zones)
    func agreesWithAnotherImplementation(zone: ZoneSamples.Zone) throws {
        let table = try TimeZoneTable.read(zone.name)
        #expect(Self.pairs(zone.offsets).count > 30 && Self.pairs(zone.starts).count > 10)
        // One cursor for all, and a fresh one for each lookup.
        var cursor = table.cursor()
        for (seconds, minutes) in Self.pairs(zone.offsets) {
            var fresh = table.cursor()
            #expect(
                table.offset(atMilliseconds: seconds * 1000, &cursor) == minutes * 60_000, "at \(seconds)")
            #expect(table.offset(atMilliseconds: seconds * 1000, &fresh) == minutes * 60_000, "at \(seconds)")
        }
        for (day, seconds) in Self.pairs(zone.starts) {
            #expect(table.startOfDay(ordinal: day) == seconds * 1000, "\(CivilTime.dateString(day: day))")
            #expect(table.startOfDay(containing: seconds * 1000, &cursor) == seconds * 1000)
            #expect(table.localDay(containing: seconds * 1000, &cursor) == day)
            #expect(table.localDay(containing: seconds * 1000 - 1, &cursor) != day)
        }
    }

    /// Days follow each other without gaps, whatever the clocks do, and every instant is in its day.
    @Test(arguments: ZoneSamples.zones.map(\.name).filter { $0 != "America/St_Johns" })
    func daysAreContiguous(name: String) throws {
        let table = try TimeZoneTable.read(name)
        var random = SplitMix64(seed: 24)
        var cursor = table.cursor()
        var last = table.startOfDay(ordinal: 0)
        for day in Int64(1)..<50_000 {
            let start = table.startOfDay(ordinal: day)
            if name == "Pacific/Apia", start <= last { continue }
            let middle = last + Int64(random.next() % UInt64(start - last))
            let hours = Double(start - last) / 3_600_000
            #expect(
                hours >= 22 && hours <= 26 || name == "Pacific/Apia",
                "\(CivilTime.dateString(day: day)): \(hours)")
            #expect(
                table.localDay(containing: middle, &cursor) == day - 1, "\(CivilTime.dateString(day: day))")
            last = start
        }
    }

    @Test func localTimesThatAreAmbiguousOrSkipped() throws {
        let table = try TimeZoneTable.read("America/New_York")
        func utc(_ local: String) throws -> String {
            CivilTime.string(table.utc(local: try #require(CivilTime.parse(local)).milliseconds))
        }
        #expect(try utc("2024-07-01 12:00") == "2024-07-01T16:00:00Z")
        // Twice: the earlier one.
        #expect(try utc("2024-11-03 01:30") == "2024-11-03T05:30:00Z")
        #expect(try utc("2024-11-03 02:00") == "2024-11-03T07:00:00Z")
        // Never: what the clocks then show is 03:30.
        #expect(try utc("2024-03-10 02:30") == "2024-03-10T07:30:00Z")
        #expect(try utc("2024-03-10 03:00") == "2024-03-10T07:00:00Z")
    }

    @Test func names() {
        #expect(
            TimeZoneTable.isZone("UTC") && TimeZoneTable.isZone("Asia/Shanghai")
                && TimeZoneTable.isZone("Etc/GMT+5"))
        for name in [
            "", "Asia", "Asia/Nowhere", "../../etc/passwd", "/etc/localtime", "zone.tab",
            "Asia/Shang\u{0}hai", "asia/shanghai ",
        ] {
            #expect(!TimeZoneTable.isZone(name), "\(name)")
        }
        let all = TimeZoneTable.zoneNames()
        #expect(
            all.count > 400 && all.contains("America/Sao_Paulo") && all.contains("Asia/Calcutta")
                && all == all.sorted())
        #expect(throws: Fault.self) { try TimeZoneTable.read("Nowhere") }
    }

    /// Every zone of the system can be read.
    @Test func everyZone() {
        for name in TimeZoneTable.zoneNames() {
            #expect(throws: Never.self, "\(name)") { try TimeZoneTable.read(name) }
        }
    }
}
