import Connectors
import Formats
import Operators
import Outlets
import Topology

extension Catalogue {
    /// Every part of this build.
    package static let standard = Catalogue(formats: formats, operators: operators, sinks: sinks)

    /// The first is that of a source that names none.
    private static let formats: [any DecodableFormat.Type] = [
        JsonFormat.self,
        CsvFormat.self,
        TsvFormat.self,
        DebeziumFormat.self,
        CanalFormat.self,
        MaxwellFormat.self,
        ConnectFormat.self,
        CloudEventsFormat.self,
        AvroFormat.self,
        ProtobufFormat.self,
    ]

    private static let operators: [any RunnableOperator.Type] = [
        UnionSpec.self,
        StreamJoinSpec.self,
        DeduplicateSpec.self,
        SequenceSpec.self,
        TopSpec.self,
        FundFlowSpec.self,
        LevelsSpec.self,
        SessionSpec.self,
        LagSpec.self,
        LastSpec.self,
        FeaturesSpec.self,
        SequenceOfSpec.self,
        ScoreSpec.self,
        DriftSpec.self,
    ]

    private static let sinks: [any SinkPart.Type] = [
        KafkaSinkPart.self,
        RedisSinkPart.self,
        FileSinkPart.self,
        StdoutSinkPart.self,
        HBaseSinkPart.self,
    ]
}

extension TopologyReader {
    /// Reads a file that may name every part of this build.
    package static func read(
        _ text: String, file: String, parameters: [String: String] = [:], variants: [Variant] = [],
        environment: Environment = .system
    ) -> (spec: TopologySpec?, diagnostics: [Diagnostic]) {
        read(
            text, file: file, catalogue: .standard, parameters: parameters, variants: variants,
            environment: environment)
    }
}
