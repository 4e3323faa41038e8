import Base
import Connectors

/// Options by which commands take librdkafka settings.
enum KafkaArguments {
    static let options: [String: Arguments.Kind] = ["--kafka": .values, "--kafka-config": .value]
    static let help = """
          --kafka-config FILE       librdkafka settings as Kafka's tools take them with --command-config, secrets among
                                    them: NAME=VALUE lines; nothing of it is printed
          --kafka NAME=VALUE        one such setting, seen in the process list; unknown ones are refused
        """

    /// Adds librdkafka settings: the topology's, over them those of `--kafka-config`, over them those of
    /// `--kafka`.
    static func add(
        _ topology: [String: String],
        _ arguments: Arguments,
        to settings: inout KafkaSettings
    ) throws(Fault) {
        settings.raw = topology
        if let file = arguments.value("--kafka-config") {
            for entry in try KafkaProperties.read(FileText.read(file), file: file) {
                settings.raw[entry.name] = entry.value
                settings.places[entry.name] = "\(file):\(entry.line)"
            }
        }
        for text in arguments.all("--kafka") {
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                throw Fault(
                    .user,
                    "--kafka takes NAME=VALUE; put settings with secrets into a file: --kafka-config FILE")
            }
            let name = String(text[..<equals])
            if KafkaSettings.isSecret(name) {
                say(
                    "warning: everybody on this machine sees --kafka \(name)=… in the process list; use --kafka-config FILE"
                )
            }
            settings.raw[name] = String(text[text.index(after: equals)...])
            settings.places[name] = nil
        }
    }
}
