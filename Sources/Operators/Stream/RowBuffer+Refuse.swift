import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Rows that an operator does not take or cannot say anything about: each is a dead letter, of its fields.
extension RowBuffer {
    /// What the pipeline counts once the operator is done.
    enum Letter {
        case dead(RowStatus)
        /// `key`: a hash of it.
        case limit(LimitName, key: UInt64, count: Int64)
    }

    /// A row finds no room among those that wait.
    func refuse(_ input: OperatorInput, _ row: Int, for limit: RowLimit, _ limits: OperatorLimits) {
        switch limit {
        case .rowsPerKey:
            refuse(input, row, .tooManyRowsOfKey, .rowsPerKey, "\(limits.rowsPerKey) rows of its key wait")
        case .memory: refuse(input, row, .stepMemoryFull, .memory, "rows of \(limits.memory) bytes wait")
        }
    }

    /// A limit keeps a row out. `why` stands behind the step's name.
    func refuse(_ input: OperatorInput, _ row: Int, _ status: RowStatus, _ limit: LimitName, _ why: String) {
        note(limit, input.key(of: row))
        let raised = limit.entry.raisedBy.map { "; \($0) raises that" } ?? ""
        writeDead(
            input.step.encoder, input.columns, input.arena, row, status,
            "\(why), the limit \(limit.rawValue)\(raised)",
            input.origin(of: row), at: input.times[row])
    }

    /// A row that the operator can do nothing with.
    func refuse(_ input: OperatorInput, _ row: Int, _ status: RowStatus, _ why: String) {
        writeDead(
            input.step.encoder, input.columns, input.arena, row, status, why, input.origin(of: row),
            at: input.times[row])
    }

    /// A row was kept, and whether it has a partner cannot be told.
    func refuse(_ kept: KeptRow, at time: Int64) {
        writeDead(
            kept.encoder, kept.batch.columns, kept.batch.arena, 0, .partnerUnknown,
            "whether it has a partner is not known, since one of its key may be among the rows that a limit kept out",
            kept.decoder.origins[0], at: time)
    }

    func note(_ limit: LimitName, _ key: UnsafeBufferPointer<UInt8>, count: Int64 = 1) {
        letters.append(
            .limit(limit, key: key.baseAddress.map { hashBytes($0, key.count) } ?? 0, count: count))
    }

    private func writeDead(
        _ encoder: any RowEncoder, _ columns: [Column], _ arena: Arena, _ row: Int, _ status: RowStatus,
        _ why: String,
        _ origin: RepartitionOrigin, at time: Int64
    ) {
        letters.append(.dead(status))
        letterCount += 1
        let value = Arena(capacity: 1024)
        encoder.encode(row, of: columns, arena: arena, into: value)
        var record = outbox.begin(.deadLetter, timestamp: max(0, time), causedAt: -1)
        outbox.setValue(value.base, min(value.count, Limits.deadLetterBytesMax), of: &record)
        outbox.addHeader("__streams.errors.exception", "millrace.\(status.name)", to: &record)
        outbox.addHeader("__streams.errors.message", "step \(step): \(why)", to: &record)
        outbox.addHeader("__streams.errors.topic", topics[Int(origin.source)], to: &record)
        outbox.addHeader("__streams.errors.partition", to: &record) {
            $0.appendNumber(Int64(origin.partition))
        }
        outbox.addHeader("__streams.errors.offset", to: &record) { $0.appendNumber(origin.offset) }
        outbox.addHeader("millrace.errors.step", step, to: &record)
        outbox.order = OutputOrder.order(ofLetter: letterCount, root: root, stage: stage)
        outbox.end(record)
    }
}
