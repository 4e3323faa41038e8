/// What a record of a topic has beside its value.
package enum RecordPart: String, Hashable, Sendable, CaseIterable {
    case key, partition, offset, timestamp

    /// As `record:` of a field says it.
    package init?(_ text: String) { self.init(rawValue: text) }

    package static var names: [String] { allCases.map { $0.rawValue } }

    package var text: String { rawValue }
}
