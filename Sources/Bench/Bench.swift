import Base
import Engine
import Glibc
import Records

/// A measured figure with what it is held against. Printed only after its answer was checked.
package struct BenchReport: Sendable {
    package enum Value: Sendable {
        case number(Double, unit: String)
        case text(String)
    }

    package var name: String
    package var rows: [(name: String, value: Value)] = []

    package init(_ name: String) { self.name = name }

    package mutating func add(_ name: String, _ number: Double, _ unit: String) {
        rows.append((name, .number(number, unit: unit)))
    }
    package mutating func add(_ name: String, _ text: String) { rows.append((name, .text(text))) }

    package var text: String {
        let width = rows.map(\.name.count).max() ?? 0
        let lines = rows.map { row in
            let value =
                switch row.value {
                case .number(let number, let unit): "\(Self.shown(number)) \(unit)"
                case .text(let text): text
                }
            return "  \(row.name)\(String(repeating: " ", count: width - row.name.count + 2))\(value)"
        }
        return ([name] + lines).joined(separator: "\n")
    }

    /// One object; names in snake case.
    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("bench", name)
        for row in rows {
            let name = String(row.name.map { $0.isLetter || $0.isNumber ? $0 : "_" })
            json.name(name)
            switch row.value {
            case .number(let number, _): json.raw("\(number)")
            case .text(let text): json.text(text)
            }
        }
        json.endObject()
        return json.string
    }

    private static func shown(_ number: Double) -> String {
        if abs(number) >= 1000 { return "\(Int64(number.rounded()))" }
        let scaled = (number * 1000).rounded() / 1000
        return "\(scaled)"
    }
}

package enum BenchClock {
    package static func cpuNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}
