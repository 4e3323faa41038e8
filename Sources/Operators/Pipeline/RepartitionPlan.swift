import Base
import Formats
import Records
import Topology

/// A topic that records go through to the partition of another key: what is written to it.
final class RepartitionPlan {
    let index: Int
    let spec: RepartitionSpec
    /// The step whose rows are written.
    let step: StepPlan
    let encoder: RepartitionEncoder

    init(_ spec: RepartitionSpec, index: Int, steps: [StepPlan]) {
        self.spec = spec
        self.index = index
        step = steps[spec.step]
        encoder = RepartitionEncoder(
            spec.columns.map { steps[spec.step].spec.schema.fields[$0] },
            columns: spec.columns.map { steps[spec.step].columns[$0] })
    }
}

enum Upstream {
    /// In the place of a watermark: the source is quiet, and nobody waits for it.
    static let idle = Int64.max
}
