import Base
import Formats
import Topology

/// The formats of changelogs, for whoever has to name them.
package enum StateFormat {
    package static let written = StateIdentities.format
    /// What is read besides.
    package static let former = FormerState.format
}

/// What all workers of a group have to agree on.
extension StateKeeper {
    var layout: String {
        let structure = Array(identities.bytes.prefix(identities.structureCount))
        return layout(of: structure, records: RepartitionEncoder.version)
    }

    var formerLayout: String { layout(of: former.structure, records: nil) }

    /// `records`: the version of repartition records, which the build before did not count.
    private func layout(of structure: [UInt8], records: UInt8?) -> String {
        var bytes = structure
        let notes = StateNotes(spec)
        bytes += Array(notes.topology.utf8)
        for topic in notes.topics { bytes += Array("\n\(topic.source) \(topic.topic)".utf8) }
        for repartition in spec.repartitions {
            let fields = spec.sources[repartition.source].schema.fields.map { "\($0.name): \($0.type)" }
            bytes += Array("\n\(repartition.topic) \(fields)".utf8)
            if let records { bytes += Array(" version \(records)".utf8) }
        }
        return Sha256.hex(bytes)
    }
}
