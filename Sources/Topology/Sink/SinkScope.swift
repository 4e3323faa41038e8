/// What a sink's reader is told beside what stands under its key.
package struct SinkScope {
    package let context: ReadingContext
    /// Of the sink.
    package let name: String
    /// For messages: `sink alerts`.
    package let what: String
    /// Of the sink.
    package let position: Position
    /// Of the part's key in it.
    package let place: Position
    /// Of what it takes in.
    package let inputPosition: Position
    package let input: Input
    /// Topics that sources read, with the sources' names.
    let sourceTopics: [String: String]
    /// The topology's name.
    package let topology: String

    package enum Input {
        case alerts
        /// Those that exist, of the steps that it names.
        case steps([StepDraft])
    }

    /// The part's mapping, of which only `keys` are allowed; nil after a mistake.
    package func mapping(_ node: YamlNode, of part: (some SinkPart).Type, keys: [String]) -> MappingReader? {
        MappingReader(node, part.key, keys: keys, at: place, context, example: part.example)
    }

    /// A topic that the topology may write to: none that it reads, or has for itself. It is returned also
    /// after the mistake that it is one.
    package func outputTopic(_ node: YamlNode) -> String? {
        guard let topic = context.topic(node) else { return nil }
        if let source = sourceTopics[topic] {
            context.error(
                node.position, "source \(source) reads this topic; a topology must not read what it writes")
        }
        if let use = TopologySpec.ownTopicUse(topic, of: topology) {
            context.error(node.position, "'\(topic)' is the topology's own topic of \(use); take another one")
        }
        return topic
    }
}
