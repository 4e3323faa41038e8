import Base
import Models
import Records
import State
import Topology

/// What `DriftSpec` says. Rows of one instant are the counts of one window, of a task each; of each thing
/// that is watched it remembers when its last window ended and how many in a row were major.
final class DriftOperator: StreamOperator {
    private let spec: DriftSpec
    private var counts: [Int64]
    /// Of the rows that were added up; `.min`: there are none.
    private var time = Int64.min

    init(_ spec: DriftSpec) {
        self.spec = spec
        counts = Array(repeating: 0, count: spec.measure.slots)
    }

    func makeState(tracksChanges: Bool) -> NumbersState {
        NumbersState(
            Array(repeating: 0, count: 2 * spec.measure.items.count), of: spec.measure.logic,
            tracksChanges: tracksChanges)
    }

    func take(_ input: OperatorInput, row: Int, _ state: NumbersState, into out: RowBuffer) {
        time = input.times[row]
        var (place, number) = (0, Int64(0))
        for byte in input.text(1, row) {
            if byte == 0x20 {
                counts[place] += number
                (place, number) = (place + 1, 0)
            } else {
                number = number * 10 + Int64(byte - 0x30)
            }
        }
        counts[place] += number
    }

    func advance(to time: Int64, _ state: NumbersState, into out: RowBuffer) {
        guard self.time != .min, self.time < time else { return }
        out.setOrder(passing: self.time)
        var first = 0
        for (index, item) in spec.measure.items.enumerated() {
            let own = counts[first..<first + item.slots].map { Int($0) }
            write(item, own, index, state, into: out)
            first += item.slots
        }
        for place in counts.indices { counts[place] = 0 }
        self.time = .min
    }

    private static let power = Double(Decimal.powerOfTen(DriftSpec.shareScale))

    private func write(
        _ item: DriftMeasure.Item, _ own: [Int], _ index: Int, _ state: NumbersState, into out: RowBuffer
    ) {
        let bins = item.histogram.counts.count + 1
        let counted = Array(own[..<bins])
        let n = counted.reduce(0, +)
        let all = item.trained.reduce(0, +)
        let end = time + 1
        let stability = PopulationStability(counted, trained: item.trained)
        let isMajor = stability?.level == .major
        let follows = state.numbers[2 * index] == end - spec.measure.size
        let running = isMajor ? (follows ? state.numbers[2 * index + 1] : 0) + 1 : 0
        state.set(2 * index, end)
        state.set(2 * index + 1, running)
        out.begin(time: time)
        var column = 0
        func next() -> Int {
            defer { column += 1 }
            return column
        }
        func put(_ text: String) { out.set(next(), text: text) }
        func put(_ value: Double?) {
            let place = next()
            if let value, let decimal = decimal(value, power: Self.power) { out.set(place, decimal) }
        }
        func share(_ count: Int, _ all: Int) -> Double { all > 0 ? Double(count) / Double(all) : 0 }
        put(item.name)
        out.set(next(), Int64(n))
        put(stability?.index)
        put(stability?.chance)
        put((stability?.level ?? .few).rawValue)
        put(share(own[bins - 1], n))
        put(share(item.histogram.missing, all))
        put(share(own[bins], n))
        put(share(own[bins + 1], n))
        put("\(counted)")
        put("\(item.trained)")
        out.set(next(), running)
        out.set(next(), running == 2 ? 1 : 0)
        let place = next()
        if running == 2 {
            out.set(
                place,
                text:
                    "millrace replay topology.yaml --input … --as-known --features \(spec.step) --at labels.csv --output train"
            )
        }
        put(spec.measure.model.card.name)
        put(spec.measure.model.card.version)
        put(spec.measure.model.card.sha256)
        out.set(next(), end - spec.measure.size)
        out.set(next(), end)
    }
}
