import Base
import Dataflow
import Records

/// Reads what the build before kept of a topology, format 6 of changelog and snapshot, as what this one would
/// have kept.
///
/// Only the records of definitions and of the task as a whole were others. But the identities of steps and
/// tables were made with another number, and stand in the keys of all the others: a task that began under
/// those goes on with them in its changelog, where a new record has to replace the old one of its key, and
/// knows them by those of today in memory.
struct FormerState {
    static let format: UInt8 = 6

    /// What gives the state its meaning, as a build of then would have said it.
    let structure: [UInt8]
    /// Identities of today by those of then, and the other way round.
    private let present: [UInt32: UInt32]
    private let former: [UInt32: UInt32]

    init(_ identities: StateIdentities) {
        let steps = identities.steps.compactMap { $0.map { (name: $0.name, step: $0) } }
        let tables = identities.tables.compactMap { $0.map { (name: "table \($0.name)", step: $0) } }
        let pairs = (steps + tables).map { name, step in
            (then: StateIdentities.id(name, step.definition, Self.format), now: step.id)
        }
        present = Dictionary(pairs.map { ($0.then, $0.now) }, uniquingKeysWith: { first, _ in first })
        former = Dictionary(pairs.map { ($0.now, $0.then) }, uniquingKeysWith: { first, _ in first })
        let then = former
        let structure = identities.bytes.prefix(identities.structureCount)
        self.structure =
            structure.withUnsafeBufferPointer { Self.rewritten($0, format: Self.format) { then[$0] ?? $0 } }
            ?? []
    }

    // MARK: Identities

    /// The identity of today of a step or table that a key names.
    func identity(_ kept: UInt32, _ task: TaskState) -> UInt32 {
        guard let now = present[kept] else { return kept }
        task.hasFormerIdentities = true
        return now
    }

    /// Gives the keys of a changelog's records, from `start` on, the identities under which the task began.
    func rename(_ outbox: inout Outbox, from start: Int) {
        for record in outbox.records[start...] where record.destination == .changelog && record.keyCount >= 5
        {
            let key = outbox.bytes.base + record.keyOffset
            guard ChangeKind.ofStores.contains(key[0]) else { continue }
            var reader = BinaryReader(UnsafeBufferPointer(start: key + 1, count: 4))
            guard let then = former[reader.word32()] else { continue }
            for byte in 0..<4 { key[1 + byte] = UInt8(truncatingIfNeeded: then >> UInt32(8 * byte)) }
        }
    }

    func rule(_ kept: KeptRule) -> KeptRule {
        var rule = kept
        rule.windows = kept.windows.map { present[$0] ?? $0 }
        return rule
    }

    // MARK: Definitions

    /// Definitions as today's build would have kept them; notes whether they were kept under the identities
    /// of then.
    func definitions(_ kept: UnsafeBufferPointer<UInt8>, _ task: TaskState) -> [UInt8] {
        task.keptFormat = kept.first ?? StateIdentities.format
        return Self.rewritten(kept) { identity($0, task) } ?? Array(kept)
    }

    /// Definitions of today, with the identities under which the task began.
    func kept(_ bytes: [UInt8], _ task: TaskState) -> [UInt8] {
        guard task.hasFormerIdentities else { return bytes }
        return bytes.withUnsafeBufferPointer { Self.rewritten($0) { former[$0] ?? $0 } } ?? bytes
    }

    private static func rewritten(
        _ kept: UnsafeBufferPointer<UInt8>,
        format: UInt8 = StateIdentities.format,
        _ identity: (UInt32) -> UInt32
    ) -> [UInt8]? {
        var reader = BinaryReader(kept)
        let arena = Arena(capacity: kept.count + 64)
        _ = reader.byte()
        arena.appendByte(format)
        arena.appendVarint(reader.varint())
        let count = reader.count(below: Limits.nodesMax + 1)
        arena.appendVarint(UInt64(count))
        for _ in 0..<count {
            arena.appendWord(identity(reader.word32()))
            arena.appendBlob(reader.blob())
            arena.appendBlob(reader.blob())
        }
        // What follows are notes, which have not changed.
        let notes = reader.bytes(reader.left)
        guard reader.isValid else { return nil }
        if let start = notes.baseAddress { _ = arena.append(start, notes.count) }
        return Array(UnsafeBufferPointer(start: arena.base, count: arena.count))
    }

    // MARK: The task as a whole

    /// A task's own record as today's build would have kept it. Where nothing has said yet which build wrote
    /// it, its length does.
    func meta(_ kept: UnsafeBufferPointer<UInt8>, _ task: TaskState) -> [UInt8] {
        let isFormer =
            task.keptFormat == Self.format
            || task.definitions.isEmpty && rewritten(meta: kept, StateIdentities.format) == nil
        return (isFormer ? rewritten(meta: kept, Self.format) : nil) ?? Array(kept)
    }

    /// nil: the bytes are of another format.
    private func rewritten(meta kept: UnsafeBufferPointer<UInt8>, _ format: UInt8) -> [UInt8]? {
        var reader = BinaryReader(kept)
        let arena = Arena(capacity: 2 * kept.count + 64)
        arena.appendWord(reader.word64())
        arena.appendVarint(reader.varint())
        let sources = reader.count(below: Limits.nodesMax + 1)
        arena.appendVarint(UInt64(sources))
        for _ in 0..<sources {
            arena.appendWord(reader.word32())
            for _ in 0..<3 { arena.appendZigzag(reader.zigzag()) }
            let writers = reader.count(below: reader.left + 1)
            arena.appendVarint(UInt64(writers))
            for _ in 0..<writers {
                let watermark = reader.zigzag()
                guard format == Self.format else {
                    arena.appendZigzag(watermark)
                    arena.appendByte(reader.byte())
                    continue
                }
                // One that was quiet had no watermark beside that.
                arena.appendZigzag(watermark == Upstream.idle ? .min : watermark)
                arena.appendByte(watermark == Upstream.idle ? 1 : 0)
            }
            // Writers were read at one pace, that of the source.
            for _ in 0..<writers { arena.appendZigzag(format == Self.format ? -1 : reader.zigzag()) }
            let hasMark = reader.byte()
            guard hasMark < 2 else { return nil }
            arena.appendByte(hasMark)
            if hasMark == 1 {
                arena.appendZigzag(reader.zigzag())
                arena.appendZigzag(reader.zigzag())
                arena.appendWord(reader.word64())
            }
        }
        let windows = reader.count(below: Limits.nodesMax + 1)
        arena.appendVarint(UInt64(windows))
        for _ in 0..<windows {
            let kept = reader.word32()
            arena.appendWord(present[kept] ?? kept)
            arena.appendZigzag(reader.zigzag())
            arena.appendZigzag(reader.zigzag())
        }
        guard reader.isValid, reader.isAtEnd else { return nil }
        return Array(UnsafeBufferPointer(start: arena.base, count: arena.count))
    }
}
