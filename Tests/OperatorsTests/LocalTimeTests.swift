import Base
import Foundation
import Records
import State
import Testing
import Topology

@testable import Operators

/// Goal: windows of days and the functions of local time are right in every zone of the system, at every
/// change of clocks from 1970 to 2100. Method: a plain conversion, time plus offset, at samples around each
/// change; a window is the one whose bounds hold the time, and begins when the clocks first show its day or a
/// later one.
@Suite struct LocalTimeTests {
    static let day: Int64 = 86_400_000
    static let hour: Int64 = 3_600_000

    /// One of each group of names that stand for the same file.
    static let zones: [String] = {
        var seen: Set<Data> = []
        return TimeZoneTable.zoneNames().filter { name in
            guard let bytes = FileManager.default.contents(atPath: "\(TimeZoneTable.folder)/\(name)") else {
                return false
            }
            return seen.insert(bytes).inserted
        }
    }()

    /// Instants at which the offset changes, 1970 to 2100.
    static func changes(_ offset: (Int64) -> Int64) -> [Int64] {
        var changes: [Int64] = []
        let end = CivilTime.day(year: 2101, month: 1, day: 1) * day
        // No zone goes there and back in three days.
        var before = offset(0)
        for time in stride(from: 3 * day, to: end, by: Int(3 * day)) {
            let after = offset(time)
            if after == before { continue }
            before = after
            var (low, high) = (time - 3 * day, time)
            while high - low > 1 {
                let middle = (low + high) / 2
                if offset(middle) == offset(low) { low = middle } else { high = middle }
            }
            changes.append(high)
        }
        return changes
    }

    @Test(arguments: zones)
    func daysAndPartsAgreeWithAPlainConversion(name: String) throws {
        let table = try TimeZoneTable.read(name)
        var cursor = table.cursor()
        let offset = { (time: Int64) in table.offset(atMilliseconds: time, &cursor) }
        var changes = Self.changes(offset)
        // A time without a change near it.
        changes.append(1_600_000_000_000)
        var clocks = [1, 30].map { PaneClock(.days($0, table)) }
        var times: [Int64] = []
        for change in changes {
            var around = Array(
                stride(
                    from: change - 50 * Self.hour, through: change + 50 * Self.hour, by: Int(4 * Self.hour)))
            around += [change - 1, change, change + 1, change + 60_000, change + Self.hour / 2]
            // Midnights, as they are before and after.
            for offset in [offset(change - 1), offset(change)] {
                let midnight = floorDivide(change + offset, Self.day) * Self.day - offset
                for days in Int64(-1)...1 {
                    around += [midnight + days * Self.day - 1, midnight + days * Self.day]
                }
            }
            around.sort()
            check(around, offset, &clocks, name)
            times += stride(from: 0, to: around.count, by: 9).map { around[$0] } + [change - 1, change]
        }
        try checkParts(times, table, name)
    }

    /// `times` ascend and lie around one change. No `#expect` for each: there are millions.
    private func check(
        _ times: [Int64], _ offset: (Int64) -> Int64, _ clocks: inout [PaneClock], _ name: String
    ) {
        for index in clocks.indices {
            guard case .days(let days, _) = clocks[index].length else { continue }
            var last = clocks[index].pane(of: times[0])
            var greatestShown = Int64.min
            for time in times {
                let pane = clocks[index].pane(of: time)
                let (start, end) = (clocks[index].startOfPane(pane), clocks[index].startOfPane(pane + 1))
                // The clocks show the window's first day, or one after it, first at its start.
                let midnight = pane * days * Self.day
                var isRight = start <= time && time < end && pane >= last
                if pane > last {
                    isRight =
                        isRight && greatestShown < midnight && start + offset(start) >= midnight
                        && start - 1 + offset(start - 1) < midnight
                }
                if !isRight {
                    Issue.record(
                        "\(name), \(days) days: \(CivilTime.string(time)) in [\(CivilTime.string(start)), \(CivilTime.string(end)))"
                    )
                }
                last = pane
                greatestShown = max(greatestShown, time + offset(time))
            }
        }
    }

    private func checkParts(_ times: [Int64], _ table: TimeZoneTable, _ name: String) throws {
        let zones = ZoneTables([name: table])
        let arena = Arena(capacity: 1 << 16)
        let count = times.count
        let column = Column(.timestamp, capacity: count)
        let rows = SelectionBuffer(capacity: count)
        for (row, time) in times.enumerated() {
            (column.values[row], column.valid[row], rows.rows[row]) = (time, 1, Int32(row))
        }
        rows.count = count
        func run(_ function: Function, _ type: ValueType) -> Column {
            let place = Position(line: 1, column: 1)
            let call = Expression(
                .call(function, [Expression(.column(0), .timestamp, at: place)]), type, at: place)
            return Program(call, capacity: count, zones: zones).run(
                [column], arena: arena, rows: rows.selection)
        }
        let hours = run(.hour(zone: name), .int)
        let minutes = run(.minute(zone: name), .int)
        let weekdays = run(.weekday(zone: name), .int)
        let days = run(.day(zone: name), .int)
        let months = run(.month(zone: name), .int)
        let years = run(.year(zone: name), .int)
        let dates = run(.date(zone: name), .text)
        let starts = run(.startOfDay(zone: name), .timestamp)
        for (row, time) in times.enumerated() {
            var fresh = table.cursor()
            let local = time + table.offset(atMilliseconds: time, &fresh)
            // What a clock in UTC would show then.
            let shown = Array(CivilTime.string(local).utf8)
            func number(_ range: Range<Int>) -> Int64 {
                shown[range].reduce(0) { $0 * 10 + Int64($1 - 0x30) }
            }
            var isRight =
                hours.values[row] == number(11..<13) && minutes.values[row] == number(14..<16)
                && days.values[row] == number(8..<10) && months.values[row] == number(5..<7)
                && years.values[row] == number(0..<4)
                && arena.string(TextReference(packed: dates.values[row])).utf8.elementsEqual(shown[..<10])
                // 1970-01-01 was a Thursday.
                && weekdays.values[row] == (floorDivide(local, Self.day) % 7 + 10) % 7 + 1
            let (start, midnight) = (starts.values[row], floorDivide(local, Self.day) * Self.day)
            isRight =
                isRight && start <= time && start + table.offset(atMilliseconds: start, &fresh) >= midnight
                && start - 1 + table.offset(atMilliseconds: start - 1, &fresh) < midnight
            if !isRight { Issue.record("\(name): \(CivilTime.string(time))") }
        }
    }

    /// Goal: the offsets themselves are those of the zone's file, as far as it lists them. Method: a reading
    /// of the file that looks at every change one after the other.
    @Test(arguments: zones)
    func offsetsAreThoseOfTheFile(name: String) throws {
        if name == "UTC" { return }
        let bytes = Array(
            try #require(FileManager.default.contents(atPath: "\(TimeZoneTable.folder)/\(name)")))
        func big(_ at: Int, _ count: Int) -> Int64 {
            let value = bytes[at..<at + count].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return count == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
        }
        func counts(_ at: Int) -> [Int] { (0..<6).map { Int(big(at + 20 + 4 * $0, 4)) } }
        // Of the first block: marks of UTC and of standard time, leap seconds, changes, types, letters.
        let first = counts(0)
        let second = 44 + first[0] + first[1] + first[2] * 8 + first[3] * 5 + first[4] * 6 + first[5]
        let (changes, at) = (counts(second)[3], second + 44)
        let table = try TimeZoneTable.read(name)
        var cursor = table.cursor()
        for index in 0..<changes {
            let type = Int(bytes[at + changes * 8 + index])
            let offset = big(at + changes * 9 + type * 6, 4) * 1000
            let time = big(at + index * 8, 8) * 1000
            let end = index + 1 < changes ? big(at + (index + 1) * 8, 8) * 1000 : time + 1000
            for time in [time, (time + end) / 2, end - 1] {
                if table.offset(atMilliseconds: time, &cursor) != offset {
                    Issue.record("\(name): \(CivilTime.string(time))")
                }
            }
        }
    }
}
