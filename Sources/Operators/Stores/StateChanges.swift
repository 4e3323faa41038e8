import Base
import Records

/// What a changed topology does with the state of the one before, for whoever restarts it.
package struct StateChanges: Hashable, Sendable {
    /// Steps and tables by name, in the order in which they were kept, or are now.
    package var kept: [String] = []
    package var begun: [String] = []
    package var dropped: [String] = []
    /// Kept steps that take in other rows than before.
    package var intakes: [Intake] = []

    package struct Intake: Hashable, Sendable {
        package var step: String
        package var before: String
        package var now: String
    }

    /// Lines for a log.
    package var lines: [String] {
        func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
        let steps =
            "the topology was changed: steps that go on with their state: \(list(kept)); that begin empty: \(list(begun)); "
            + "that were left out, with their state: \(list(dropped))"
        return [steps]
            + intakes.map { intake in
                "step '\(intake.step)' takes in other rows from now on: \(intake.now); what it holds was taken in as: \(intake.before)"
            }
    }
}

extension StateIdentities {
    /// What became of state that was kept under other definitions, with which `check` has agreed; nil:
    /// nothing was changed.
    func changes(since kept: [UInt8]) -> StateChanges? {
        guard kept != bytes, let before = Self.notes(of: kept), let now = Self.notes(of: bytes) else {
            return nil
        }
        let names = (steps + tables).compactMap { $0?.name }
        let former = Self.names(of: kept)
        var changes = StateChanges(
            kept: former.filter(names.contains), begun: names.filter { !former.contains($0) },
            dropped: former.filter { !names.contains($0) })
        for step in changes.kept {
            guard let then = before.intakes[step], let present = now.intakes[step], then != present else {
                continue
            }
            changes.intakes.append(StateChanges.Intake(step: step, before: then, now: present))
        }
        let isSame = changes.begun.isEmpty && changes.dropped.isEmpty && changes.intakes.isEmpty
        return isSame ? nil : changes
    }

    private static func names(of kept: [UInt8]) -> [String] {
        kept.withUnsafeBufferPointer { bytes in
            var reader = BinaryReader(bytes)
            _ = (reader.byte(), reader.varint())
            return (0..<reader.count(below: Limits.nodesMax + 1)).map { _ in
                _ = reader.word32()
                let name = reader.text()
                _ = reader.text()
                return name
            }
        }
    }
}
