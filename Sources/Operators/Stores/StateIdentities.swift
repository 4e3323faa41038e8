import Base
import Records
import Topology

/// The names under which the state of a topology's windows and rules is kept, so that a changed topology
/// finds what still fits and refuses what does not.
///
/// A step's id is a hash of its name and of all that gives its panes their meaning; two ids under one name
/// are two definitions. A rule's is a hash of its name and key: its condition may change while alerts are
/// raised.
struct StateIdentities {
    struct Step {
        var id: UInt32
        var name: String
        /// What a person would have to compare.
        var definition: String
    }

    /// By step; nil for steps without a window or an operator that remembers something.
    let steps: [Step?]
    /// By source; nil for those that are no tables that tasks remember.
    let tables: [Step?]
    let rules: [UInt32]
    /// By rule: what is kept of it; nil for those on records, which raise nothing for long.
    let keptRules: [KeptRule?]
    let sources: [UInt32]
    private let topology: String
    /// The definitions as they are kept beside the state: first what gives the state its meaning, which must
    /// agree, then notes (`StateNotes`) on what it was made of.
    let bytes: [UInt8]
    /// How many of `bytes` must agree.
    let structureCount: Int

    static let format: UInt8 = 7
    /// Of snapshots: what is written, and what is read. One of another format is as none, and the changelog
    /// is read instead.
    static let snapshotFormat: UInt8 = 8
    static let snapshotFormats: [UInt8] = [6, 7, 8]
    /// Goes into the hashes. It is the format of the first build that had these; another number would lose
    /// what was kept.
    private static let idNumber: UInt8 = 7

    init(_ spec: TopologySpec, steps: [StepPlan], rules: [RulePlan], partitionCount: Int) {
        self.steps = steps.map { step in
            let definition: String
            if let window = step.window {
                definition = Self.definition(step.spec, window.options.outOfOrder)
            } else if let operation = step.spec.operation, let kind = operation.part.definition {
                definition = Self.definition(kind, operation, spec)
            } else {
                return nil
            }
            return Step(id: Self.id(step.spec.name, definition), name: step.spec.name, definition: definition)
        }
        tables = spec.sources.map { source in
            guard let table = source.table, !table.isBroadcast, source.redisTable == nil else { return nil }
            let definition = Self.definition(table, source)
            return Step(
                id: Self.id("table \(source.name)", definition), name: source.name, definition: definition)
        }
        self.rules = rules.map { Self.hash("\($0.spec.name)\n\($0.keyNames)\n\($0.hasWindow)") }
        let identities = self.steps
        keptRules = rules.map { $0.hasWindow ? KeptRule($0, steps: identities, sinks: spec.sinks) : nil }
        sources = spec.sources.map { Self.hash($0.name) }
        topology = spec.name
        let arena = Arena(capacity: 1024)
        arena.appendByte(Self.format)
        arena.appendVarint(UInt64(partitionCount))
        let kept = (self.steps + tables).compactMap { $0 }
        arena.appendVarint(UInt64(kept.count))
        for step in kept {
            arena.appendWord(step.id)
            arena.appendBlob(step.name)
            arena.appendBlob(step.definition)
        }
        structureCount = arena.count
        StateNotes(spec).append(to: arena)
        bytes = Array(UnsafeBufferPointer(start: arena.base, count: arena.count))
        let ids = kept.map(\.id) + self.rules
        // 0 is the id of what is not kept.
        require(
            Set(ids).count == ids.count && !ids.contains(0),
            "two steps or rules whose names have one hash, or one that has none")
    }

    static func id(_ name: String, _ definition: String, _ number: UInt8 = idNumber) -> UInt32 {
        hash("\(name)\n\(definition)\n\(number)")
    }

    static func hash(_ text: String) -> UInt32 {
        var text = text
        return text.withUTF8 { bytes in
            bytes.baseAddress.map { UInt32(truncatingIfNeeded: hashBytes($0, bytes.count)) } ?? 0
        }
    }

    private static func definition(_ step: StepSpec, _ outOfOrder: Int64) -> String {
        var text =
            "key "
            + step.key.map { "\(step.schema.fields[$0].name): \(step.schema.fields[$0].type)" }
            .joined(separator: ", ")
        if let window = step.window {
            switch window.length {
            case .milliseconds(let size, let slide):
                text += "; window \(ValueText.duration(size)) by \(ValueText.duration(slide))"
            case .days(let size, let slide, let zone): text += "; window \(size)d by \(slide)d in \(zone)"
            case .weeks(let size, let slide, let zone): text += "; window \(size)w by \(slide)w in \(zone)"
            case .months(let size, let slide, let zone): text += "; window \(size)mo by \(slide)mo in \(zone)"
            }
            if window.excludesCurrent { text += " until the current" }
        }
        text += "; out of order \(ValueText.duration(outOfOrder))"
        text += "; " + step.aggregates.map { $0.text(in: step.schema) }.joined(separator: ", ")
        return text
    }

    private static func definition(_ table: TableSpec, _ source: SourceSpec) -> String {
        func text(_ columns: [Int]) -> String {
            columns.map { "\(source.schema.fields[$0].name): \(source.schema.fields[$0].type)" }.joined(
                separator: ", ")
        }
        return "table of \(text(table.values(of: source.schema))) by \(text(table.key))"
    }

    private static func definition(_ kind: String, _ operation: OperatorSpec, _ spec: TopologySpec) -> String
    {
        let inputs = operation.inputs.map { index in
            let step = spec.steps[index]
            let fields = step.schema.fields.map { "\($0.name): \($0.type)" }.joined(separator: ", ")
            let key = step.key.map { step.schema.fields[$0].name }.joined(separator: ", ")
            return "(\(fields)) by (\(key))"
        }
        return "\(kind) of \(inputs.joined(separator: " and "))"
    }

    /// True if state that was kept under `kept` has the same meaning in all.
    func isSameStructure(_ kept: [UInt8]) -> Bool {
        kept.prefix(structureCount) == bytes.prefix(structureCount)
    }

    /// What is noted beside definitions that were kept.
    static func notes(of kept: [UInt8]) -> StateNotes? {
        kept.withUnsafeBufferPointer { bytes in
            var reader = BinaryReader(bytes)
            guard reader.byte() == format else { return nil }
            _ = reader.varint()
            for _ in 0..<reader.count(below: Limits.nodesMax + 1) {
                _ = (reader.word32(), reader.text(), reader.text())
            }
            return StateNotes(&reader)
        }
    }

    /// Throws if definitions were kept in another format, and with them the state.
    static func checkFormat(_ kept: UnsafeBufferPointer<UInt8>) throws(Fault) {
        guard let first = kept.first, first != format, first != FormerState.format else { return }
        throw Fault(
            .user,
            "the state's format is \(first), and this program reads formats \(FormerState.format) and \(format): go on with the "
                + "version that wrote it, or begin anew under another --group")
    }

    /// Throws if state that was kept under `kept` cannot be gone on with. `place`: where it was found.
    func check(_ kept: [UInt8], partitionCount: Int, place: String) throws(Fault) {
        let problem: Fault? = kept.withUnsafeBufferPointer { bytes in
            var reader = BinaryReader(bytes)
            _ = reader.byte()
            let partitions = Int(truncatingIfNeeded: reader.varint())
            if partitions != partitionCount {
                return Fault(
                    .user,
                    "\(place) was kept for \(partitions) partitions, and the sources have \(partitionCount): keys have "
                        + "moved between partitions, and their windows cannot follow. Begin anew under another --group, "
                        + "or stop every worker, delete this topic and the group's positions")
            }
            for _ in 0..<reader.count(below: Limits.nodesMax + 1) {
                let id = reader.word32()
                let name = reader.text()
                let definition = reader.text()
                guard let step = (steps + tables).compactMap({ $0 }).first(where: { $0.name == name }),
                    step.id != id
                else {
                    continue
                }
                let kind = tables.contains { $0?.name == name } ? "table" : "step"
                return Fault(
                    .user,
                    "\(place): \(kind) '\(name)' was kept as \(definition); the topology now says \(step.definition). What "
                        + "was kept as one cannot be read as the other: give the \(kind) another name (it then begins empty), "
                        + "or put its definition back")
            }
            guard reader.isValid, let notes = StateNotes(&reader) else {
                return Fault(.external, "\(place): its definitions cannot be read")
            }
            if notes.topology != topology {
                return Fault(
                    .user,
                    "\(place) was kept for topology '\(notes.topology)', and this is topology '\(topology)': two topologies in one "
                        + "group give neither's results. Use another --group")
            }
            return nil
        }
        if let problem { throw problem }
    }

    func step(_ id: UInt32) -> Int? { steps.firstIndex { $0?.id == id } }
    func table(_ id: UInt32) -> Int? { tables.firstIndex { $0?.id == id } }
    func rule(_ id: UInt32) -> Int? { rules.firstIndex(of: id) }
    func source(_ id: UInt32) -> Int? { sources.firstIndex(of: id) }
}
