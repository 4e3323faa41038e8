import Base
import Records

/// How much memory the windows of a step take at most.
package struct StateBound: Hashable, Sendable {
    /// Index of the step in the topology.
    package var step: Int
    /// Panes kept for each key: those of the window, the current one, and those that records may be early
    /// for.
    package var panes: Int64
    package var bytesPerPane: Int64
    /// Without the values of `distinct` and the buckets of quantiles.
    package var bytesPerKeyEmpty: Int64
    /// With as many values as every `distinct` counts exactly, and without quantiles' buckets.
    package var bytesPerKey: Int64
    /// Whatever comes in.
    package var bytesPerKeyMax: Int64
    package var keys: Int64
    /// Of all keys together: panes ahead of those, where records of a faster input or partition wait for the
    /// slowest.
    package var aheadBytesMax: Int64

    package var bytes: Int64 { Self.product(bytesPerKey, keys) }
    package var bytesMax: Int64 { Self.product(bytesPerKeyMax, keys) }

    /// `1.3 KiB per key, 1.3 GiB at 1,000,000 keys`
    package var description: String {
        let empty = Self.product(bytesPerKeyEmpty, keys)
        var text = "\(Self.size(bytesPerKeyEmpty)) per key, \(Self.size(empty)) at \(Self.grouped(keys)) keys"
        if bytesPerKey > bytesPerKeyEmpty {
            text +=
                "; with as many different values as are counted exactly \(Self.size(bytesPerKey)) per key, "
                + "\(Self.size(bytes)) in all"
        }
        if bytesPerKeyMax > bytesPerKey {
            text +=
                "; at most \(Self.size(bytesPerKeyMax)) per key, \(Self.size(bytesMax)) in all, "
                + "where every pane has many different values"
        }
        if aheadBytesMax > 0 {
            text += "; and up to \(Self.size(aheadBytesMax)) for records that are ahead of the slowest input"
        }
        return text
    }

    /// The bound of every step with a window.
    package static func all(_ spec: TopologySpec) -> [StateBound] {
        let split = spec.repartitioned()
        return spec.steps.indices.compactMap { index in
            spec.steps[index].window.map {
                var bound = bound(of: index, $0, spec)
                if split.sources[split.source(of: index)].mayRunAhead {
                    bound.aheadBytesMax = Int64(Limits.aheadBytesMax)
                }
                return bound
            }
        }
    }

    /// An error at each window whose ring would have more than `Limits.panesPerWindowMax` panes. Without one,
    /// no figure of `all` overflows.
    package static func check(_ spec: TopologySpec, file: String) -> [Diagnostic] {
        spec.steps.indices.compactMap { index in
            guard let window = spec.steps[index].window else { return nil }
            let source = source(of: index, spec)
            let panes = paneCount(window, outOfOrder: source.outOfOrder)
            guard panes > Int64(Limits.panesPerWindowMax) else { return nil }
            return Diagnostic(
                file: file,
                at: window.position,
                "step \(spec.steps[index].name) needs \(panes) panes for a key, more than "
                    + "\(Limits.panesPerWindowMax): "
                    + "size / slide, and out_of_order of source \(source.name) / slide; make the slide longer"
            )
        }
    }

    // MARK: Figures

    private static let headerBytes: Int64 = 32
    private static let keyBytes: Int64 = 64
    /// 4,096 registers of HyperLogLog, their array and where it stands.
    private static let distinctPaneBytes: Int64 = 4096 + 32 + 8
    /// 2,048 buckets of DDSketch, six bytes each: values over 31 powers of two.
    private static let quantilePaneBytes: Int64 = 12 << 10

    private static func bound(of index: Int, _ window: WindowSpec, _ spec: TopologySpec) -> StateBound {
        let step = spec.steps[index]
        let panes = paneCount(window, outOfOrder: source(of: index, spec).outOfOrder)
        // Every pane counts its records; plain count() reads that.
        var bytesPerPane: Int64 = 8
        var sketches: Int64 = 0
        var sketchesMax: Int64 = 0
        for call in step.aggregates {
            bytesPerPane += paneBytes(call, step.schema)
            switch call.function {
            case .distinct(let exact):
                let values = distinctBytes(exact, panes: panes)
                sketches += values
                // As sketches: one a pane, and their union; values of panes that have begun since stand
                // beside them.
                sketchesMax += values + (panes + 1) * distinctPaneBytes
            case .quantile: sketchesMax += panes * quantilePaneBytes
            default: break
            }
        }
        let totals = bytesPerPane * (spec.readsClosed(index) ? 2 : 1)
        let fixed = panes * bytesPerPane + headerBytes + totals + keyBytes
        return StateBound(
            step: index,
            panes: panes,
            bytesPerPane: bytesPerPane,
            bytesPerKeyEmpty: fixed,
            bytesPerKey: fixed + sketches,
            bytesPerKeyMax: fixed + sketchesMax,
            keys: Int64(spec.keys),
            aheadBytesMax: 0
        )
    }

    /// The window's panes, one more that is filling (two if the window ends before it), and those that
    /// records
    /// within the out-of-order bound may be ahead.
    private static func paneCount(_ window: WindowSpec, outOfOrder: Int64) -> Int64 {
        let span: Int64
        let width: Int64
        switch window.length {
        case .milliseconds(let size, let slide): (span, width) = (size / slide, slide)
        // The shortest day has 23 hours.
        case .days(let size, let slide, _): (span, width) = (Int64(size / slide), Int64(slide) * 82_800_000)
        case .weeks(let size, let slide, _):
            (span, width) = (Int64(size / slide), Int64(slide) * 7 * 82_800_000)
        case .months(let size, let slide, _):
            (span, width) = (Int64(size / slide), Int64(slide) * 28 * 82_800_000)
        }
        return span + (outOfOrder + width - 1) / width + 1 + (window.excludesCurrent ? 2 : 1)
    }

    package static func paneBytes(_ call: AggregateCall, _ schema: Schema) -> Int64 {
        let counted: Int64 = call.isCounted(in: schema) ? 8 : 0
        return switch call.function {
        case .count: call.argument == nil && call.condition == nil ? 0 : 8
        case .sum: 16 + 2 * counted
        case .min, .max: call.type == .text ? 72 : 8 + counted
        case .days: 8
        case .first, .last: call.type == .text ? 72 : 16
        case .avg: 24
        case .stddev: 48
        case .distinct, .quantile, .windowStart, .windowEnd: 0
        }
    }

    /// The values of a `distinct` that counts up to `exact` of them: a quarter more that no pane has any
    /// more, each with a bit for every pane, and a table that finds them, at most three quarters full.
    private static func distinctBytes(_ exact: Int, panes: Int64) -> Int64 {
        let values = Int64(exact + exact / 4 + 1)
        var places: Int64 = 32
        while places * 3 < values * 4 { places *= 2 }
        return values * (8 + (panes + 63) / 64 * 8) + places * 4 + (panes + 63) / 64 * 16
    }

    private static func source(of step: Int, _ spec: TopologySpec) -> SourceSpec {
        switch spec.steps[step].input {
        case .source(let index): spec.sources[index]
        case .step(let before): source(of: before, spec)
        }
    }

    package static func product(_ a: Int64, _ b: Int64) -> Int64 {
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        return overflow ? .max : product
    }

    // MARK: Text

    /// `1.3 KiB`
    package static func size(_ bytes: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var unit = 0
        var scale: Int64 = 1
        while unit < units.count - 1, bytes / scale >= 1024 {
            scale <<= 10
            unit += 1
        }
        if unit == 0 { return "\(bytes) B" }
        let tenths = Decimal.divideHalfEven(Int128(bytes) * 10, Int128(scale))
        return "\(Decimal.string(tenths, scale: 1)) \(units[unit])"
    }

    /// `1,000,000`
    package static func grouped(_ number: Int64) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }
}

extension TopologySpec {
    /// True if somebody reads the closed windows of a step, which then keeps totals for them beside those of
    /// the windows as they run: a rule `at: close`, a sink that takes each as a record, or a step that takes
    /// in what they make. Metrics are of windows as they run.
    package func readsClosed(_ step: Int) -> Bool {
        rules.contains { $0.at == .close && $0.on.contains(step) } || stream(of: step) != nil
            || sinks.contains { sink in
                guard case .steps(let steps) = sink.input, steps.contains(step) else { return false }
                return sink.metrics == nil
            }
    }
}
