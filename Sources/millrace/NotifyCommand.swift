import Base
import Connectors
import Engine
import Glibc
import Outlets
import Records
import Topology

enum NotifyCommand: Command {
    static let name = "notify"
    static let summary = "tell people of alerts: mail, SMS, webhooks, the console's popup"
    static let help = """
        usage: millrace notify --bootstrap-server HOST:PORT --config FILE --topology FILE|--topic TOPIC… [OPTIONS]
               millrace notify check CONFIG
               millrace notify who CONFIG --alert-file FILE
               millrace notify test ROUTE|RECIPIENT --config FILE
               millrace notify log --bootstrap-server HOST:PORT --group NAME [--alert ID] [--undelivered]
               millrace notify resend ID…|--all --bootstrap-server HOST:PORT --group NAME

        Reads alerts that were committed and tells whom the configuration names. What is told is decided exactly once, into
        topic <topology>-outbox; sending it is tried until it succeeds or is given up, always under the same id: results go to
        <topology>-deliveries, what was given up to <topology>-undelivered. One runs for each topology; the next one that is
        started takes over. Ends with SIGTERM. deploy/README.md explains the configuration.

          check                read the configuration and say what is wrong, as file:line:column; exit code 2 if anything is
          who                  whom an alert (JSON, as the topic has it; several, a line each) would reach
          test                 send a test message now, to all of a route or to one recipient (zhang/mail); exit code 1 if one fails
          log                  every try; --alert ID: of one alert; --undelivered: what was given up and not sent since
          resend               send what was given up again, under its id

          --bootstrap-server LIST   Kafka brokers
          --config FILE        the configuration
          --topology FILE      the topology whose alerts are told; its name begins the names of the topics
          --topic TOPIC        topics of alerts, instead of those of the file's sinks
          --group NAME         the name that the topics begin with, instead of the topology's, or the first topic's
          --metrics-port N     /metrics, /health and /ready over HTTP; 0 takes any free port
          --metrics-address IP where they listen; default 127.0.0.1
          --from earliest|latest  where a topic begins of which nothing was read yet; default earliest: what is older than it
                               may wait for its delivery comes as a digest
          --set name=value     a parameter of the topology
          --json               one JSON object, or one a line
        \(KafkaArguments.help)

        example: millrace notify --bootstrap-server 127.0.0.1:9092 --config deploy/notify.yaml \\
                   --topology Topologies/marketplace/topology.yaml
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--config": .value, "--topology": .value, "--topic": .values,
        "--group": .value, "--from": .value,
        "--alert": .value, "--alert-file": .value, "--undelivered": .flag, "--all": .flag, "--set": .values,
        "--json": .flag, "--metrics-port": .value, "--metrics-address": .value,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        let words = Array(arguments.files.dropFirst())
        switch arguments.files.first {
        case nil: return try serve(arguments)
        case "check": return try check(words, arguments)
        case "who": return try who(words, arguments)
        case "test": return try test(words, arguments)
        case "log": return try log(words, arguments)
        case "resend": return try resend(words, arguments)
        case let word?:
            throw Fault(
                .user,
                "'\(word)' is nothing that notify does: check, who, test, log, resend; without any, it runs")
        }
    }

    // MARK: Running

    private static func serve(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard let path = arguments.value("--config") else {
            throw Fault(.user, "--config is missing, like --config deploy/notify.yaml")
        }
        guard let config = try config(path) else { return ExitCode.usage }
        var kafka: [String: String] = [:]
        var name: String?
        var topics = arguments.all("--topic")
        if let file = arguments.value("--topology") {
            guard let spec = try arguments.topology(file) else { return ExitCode.usage }
            kafka = spec.kafka
            name = spec.name
            if topics.isEmpty {
                for sink in spec.sinks {
                    if case .alerts = sink.input, let topic = sink.topic, !topics.contains(topic) {
                        topics.append(topic)
                    }
                }
                if topics.isEmpty {
                    throw Fault(
                        .user, "\(file): no sink publishes alerts to a topic; name one: --topic risk-alerts")
                }
            }
        }
        guard let first = topics.first else {
            throw Fault(.user, "whose alerts? --topology FILE, or --topic TOPIC")
        }
        var options = Notifier.Options(
            kafka: try settings(arguments, kafka), topology: arguments.value("--group") ?? name ?? first,
            alertTopics: topics)
        switch arguments.value("--from") ?? "earliest" {
        case "earliest": options.startsAtEnd = false
        case "latest": options.startsAtEnd = true
        case let word: throw Fault(.user, "--from is earliest or latest, not '\(word)'")
        }
        let status = options.status
        let metrics = try arguments.integer("--metrics-port", in: 0...65535).map { (port) throws(Fault) in
            try MetricsServer(
                address: arguments.value("--metrics-address") ?? "127.0.0.1", port: UInt16(port),
                pages: MetricsServer.Pages(
                    metrics: { status.metrics }, isHealthy: { true }, unreadiness: { status.unreadiness }))
        }
        if let metrics {
            say(
                "metrics on http://\(arguments.value("--metrics-address") ?? "127.0.0.1"):\(metrics.port)/metrics"
            )
        }
        let stop = options.stop
        Signals.onStop { _ in stop.set() }
        try Notifier(config, options).run()
        return ExitCode.done
    }

    private static func settings(_ arguments: Arguments, _ topology: [String: String] = [:]) throws(Fault)
        -> KafkaSettings
    {
        guard let servers = arguments.value("--bootstrap-server") else {
            throw Fault(.user, "--bootstrap-server is missing, like --bootstrap-server 127.0.0.1:9092")
        }
        var settings = KafkaSettings(bootstrapServers: servers, group: "", clientId: "millrace-notify")
        try KafkaArguments.add(topology, arguments, to: &settings)
        return settings
    }

    /// nil after its mistakes were said.
    private static func config(_ path: String) throws(Fault) -> NotifyConfig? {
        let (config, diagnostics) = NotifyReader.read(try FileText.read(path), file: path)
        for diagnostic in diagnostics { say("\(diagnostic)") }
        return config
    }

    private static func configPath(_ words: [String], _ arguments: Arguments) throws(Fault) -> String {
        let paths = words + arguments.all("--config")
        guard paths.count == 1 else {
            throw Fault(.user, "one configuration is expected, like deploy/notify.yaml")
        }
        return paths[0]
    }

    // MARK: The configuration

    private static func check(_ words: [String], _ arguments: Arguments) throws(Fault) -> Int32 {
        let path = try configPath(words, arguments)
        let (config, diagnostics) = NotifyReader.read(try FileText.read(path), file: path)
        if arguments.has("--json") {
            var json = JsonWriter()
            json.beginObject()
            json.name("ok")
            json.bool(config != nil)
            json.name("diagnostics")
            json.list(diagnostics) { json, diagnostic in
                json.beginObject()
                json.member("severity", diagnostic.severity.rawValue)
                json.member("line", Int64(diagnostic.position.line))
                json.member("column", Int64(diagnostic.position.column))
                json.member("message", diagnostic.message)
                json.endObject()
            }
            json.endObject()
            put(json.string)
        } else {
            for diagnostic in diagnostics { say("\(diagnostic)") }
            if let config {
                put(
                    "\(path): \(config.routes.flatMap(\.all).count) routes, \(config.channels.count) channels, \(config.people.count) people"
                )
            }
        }
        return config == nil ? ExitCode.usage : ExitCode.done
    }

    private static func who(_ words: [String], _ arguments: Arguments) throws(Fault) -> Int32 {
        guard let path = arguments.value("--alert-file") else {
            throw Fault(.user, "--alert-file is missing: a file with an alert's JSON")
        }
        guard let config = try config(try configPath(words, arguments)) else { return ExitCode.usage }
        let now = SystemClock().nowMilliseconds
        for (index, line) in try FileText.read(path).split(separator: "\n").enumerated()
        where !line.allSatisfy(\.isWhitespace) {
            var bytes = Array(line.utf8)
            let alert: AlertBrief
            do throws(Fault) {
                alert = try bytes.withUnsafeMutableBufferPointer { (buffer) throws(Fault) in
                    try AlertBrief(UnsafeBufferPointer(buffer), key: nil)
                }
            } catch { throw Fault(.user, "\(path):\(index + 1): \(error.detail)") }
            for told in WhoIsTold.of(alert, config, now: now) {
                put(arguments.has("--json") ? told.json : told.text)
            }
        }
        return ExitCode.done
    }

    private static func test(_ words: [String], _ arguments: Arguments) throws(Fault) -> Int32 {
        guard words.count == 1, let path = arguments.value("--config") else {
            throw Fault(.user, "write: millrace notify test ROUTE|RECIPIENT --config FILE")
        }
        guard let config = try config(path) else { return ExitCode.usage }
        let clock = SystemClock()
        var contacts = config.route(named: words[0])?.to ?? []
        if contacts.isEmpty, let person = config.people[words[0]] {
            contacts = person.channels.map { NotifyContact(person: words[0], channel: $0) }
        }
        if contacts.isEmpty, let contact = NotifyContact(words[0]), config.isKnown(contact) {
            contacts = [contact]
        }
        guard !contacts.isEmpty else {
            let known =
                config.routes.flatMap(\.all).map(\.name) + config.people.keys.sorted()
                + config.channels.keys.sorted()
            throw Fault(
                .user,
                "there is no route or recipient '\(words[0])'\(NearestName.hint(words[0], among: known))")
        }
        var code = ExitCode.done
        for contact in contacts {
            guard let channel = config.channels[contact.channel] else { continue }
            let message = WhoIsTold.testMessage(to: contact, route: words[0], now: clock.nowMilliseconds)
            let outcome = ChannelSender(config, channel, clock: clock).send(message)
            let isDelivered = outcome.verdict == .delivered
            if !isDelivered { code = ExitCode.failed }
            if arguments.has("--json") {
                var json = JsonWriter()
                json.beginObject()
                json.member("recipient", contact.description)
                json.member("id", message.id)
                json.member("result", outcome.verdict.rawValue)
                json.member("code", Int64(outcome.code))
                json.member("ms", outcome.milliseconds)
                json.member("text", outcome.text)
                json.endObject()
                put(json.string)
            } else {
                put(
                    "\(contact): \(isDelivered ? "delivered" : outcome.text) (\(outcome.code), \(outcome.milliseconds) ms)"
                )
            }
        }
        return code
    }

    // MARK: What was sent

    private static func group(_ arguments: Arguments) throws(Fault) -> String {
        if let group = arguments.value("--group") { return group }
        if let file = arguments.value("--topology"), let spec = try arguments.topology(file) {
            return spec.name
        }
        if let topic = arguments.all("--topic").first { return topic }
        throw Fault(.user, "of which topology? --group NAME, or --topology FILE")
    }

    private static func log(_ words: [String], _ arguments: Arguments) throws(Fault) -> Int32 {
        guard words.isEmpty else {
            throw Fault(.user, "'\(words[0])': log takes options only: --alert ID, --undelivered")
        }
        let group = try group(arguments)
        let settings = try settings(arguments)
        if arguments.has("--undelivered") {
            for letter in try DeliveryLog.letters(settings, topology: group) {
                let to = letter.message.map { " to \($0.contact), \($0.alerts.count) alerts" } ?? ""
                put(arguments.has("--json") ? letter.json : "\(letter.at) \(letter.id)\(to): \(letter.error)")
            }
            return ExitCode.done
        }
        for entry in try DeliveryLog.tries(settings, topology: group, alert: arguments.value("--alert")) {
            let text = entry.text.isEmpty ? "" : ": \(entry.text)"
            put(
                arguments.has("--json")
                    ? entry.json
                    : "\(entry.at) \(entry.status) \(entry.id) to \(entry.recipient), try \(entry.tries), \(entry.code), \(entry.milliseconds) ms\(text)"
            )
        }
        return ExitCode.done
    }

    private static func resend(_ words: [String], _ arguments: Arguments) throws(Fault) -> Int32 {
        guard words.isEmpty == arguments.has("--all") else {
            throw Fault(.user, "resend takes ids of undelivered messages, or --all")
        }
        let group = try group(arguments)
        let settings = try settings(arguments)
        let letters = try DeliveryLog.letters(settings, topology: group).filter { $0.message != nil }
        let chosen = arguments.has("--all") ? letters : letters.filter { words.contains($0.id) }
        let missing = words.filter { word in !letters.contains { $0.id == word } }
        if let first = missing.first {
            throw Fault(
                .user, "no undelivered message '\(first)'; millrace notify log --undelivered lists them")
        }
        let by = getenv("USER").map { String(cString: $0) } ?? "unknown"
        try DeliveryLog.resend(chosen, settings, topology: group, by: by, now: SystemClock().nowMilliseconds)
        if arguments.has("--json") {
            var json = JsonWriter()
            json.beginObject()
            json.name("resent")
            json.list(chosen) { $0.text($1.id) }
            json.endObject()
            put(json.string)
        } else {
            put("\(chosen.count) messages are sent again by the notifier of '\(group)'")
        }
        return ExitCode.done
    }
}
