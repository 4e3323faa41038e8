import Base
import Topology

/// How a sink of hot metrics takes those of a window step.
struct MetricsPlan {
    enum Part {
        case text(String)
        /// A place among the step's key fields.
        case field(Int)
    }

    let sink: Int
    let key: [Part]
    let ttlMilliseconds: Int64

    init(_ metrics: HotMetrics, sink: Int, keyFields: [String]) {
        self.sink = sink
        ttlMilliseconds = metrics.ttl
        key = metrics.key.map { part in
            switch part {
            case .text(let text): return .text(text)
            case .field(let name):
                guard let place = keyFields.firstIndex(of: name) else {
                    unreachable("a metrics key of '\(name)', which is no key field")
                }
                return .field(place)
            }
        }
    }
}
