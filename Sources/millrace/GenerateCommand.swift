import Base
import Connectors
import Marketplace

enum GenerateCommand: Command {
    static let name = "generate"
    static let summary = "order events of a synthetic marketplace with planted fraud"
    static let help = """
        usage: millrace generate [OPTIONS]
               millrace generate --library DIR [--seed N] [--merchants N] [--days N] [--orders-per-day N]

        Writes order events as JSON lines to standard output, or to a topic, as fast as they can be taken or at
        --rate. The same options give the same bytes. What was planted is told in --labels.

          --seed N               default 1
          --merchants N          shops; default 500
          --orders-per-day N     paid orders of a day; default 32000
          --days N               days of event time; default 10
          --warm-up-days N       days before fraud begins; default 4
          --events N             stop after so many events
          --rate N               events a second of real time; default: as fast as possible
          --now                  event time is the clock's (for live load, with --rate)
          --labels FILE          planted fraud and near misses as JSON lines
          --bootstrap-server L   publish to Kafka instead of standard output
          --topic NAME           default orders
        \(KafkaArguments.help)

        With --library it writes a month for the rule library into a folder: a file of JSON lines for each stream,
        sorted by event time but for a record in sixteen, which is up to a second late.

          orders registry taxes customs logistics negative       the trade, and what others say of it
          violations policies shops debts                        platforms, and what buyers owe
          loans accounts transfers                               what becomes of the loans
          arrivals                                               how the feeds do, a line a minute
          labels                                                 what is planted: topology, rule, key (a merchant, a
                                                                 loan or a feed), kind (planted or near-miss), and
                                                                 the time in which an alert is due

          --library DIR          made if it is not there; its files are written anew
          --seed N               default 1
          --merchants N          shops; default 200, at least 150. A rule has 3 planted cases and 2 near misses, and
                                 more from 267 shops on
          --days N               default 35, 35 to 366; the first is 2026-03-02, fraud begins on the 11th day
          --orders-per-day N     default 4000; 20 or more for each merchant

        example: millrace generate --days 7 --labels labels.jsonl > orders.jsonl
        example: millrace generate --library month && grep fund-flow month/labels.jsonl
        """
    static let options: [String: Arguments.Kind] = [
        "--seed": .value, "--merchants": .value, "--orders-per-day": .value, "--days": .value,
        "--warm-up-days": .value, "--events": .value, "--rate": .value, "--now": .flag, "--labels": .value,
        "--bootstrap-server": .value, "--topic": .value, "--library": .value,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard arguments.files.isEmpty else {
            throw Fault(.user, "generate takes no file; redirect its output")
        }
        if let folder = arguments.value("--library") { return try generateLibrary(folder, arguments) }
        let options = try MarketplaceArguments.read(arguments)
        let rate = try arguments.integer("--rate", in: 1...10_000_000)
        var load = try MarketplaceLoad(options, eventsPerSecond: rate)
        let summary: MarketplaceLoad.Summary
        if let servers = arguments.value("--bootstrap-server") {
            var settings = KafkaSettings(bootstrapServers: servers)
            try KafkaArguments.add([:], arguments, to: &settings)
            summary = try load.run(to: settings, topic: arguments.value("--topic") ?? "orders")
        } else {
            if let other = (["--topic"] + KafkaArguments.options.keys.sorted()).first(where: {
                arguments.has($0)
            }) {
                throw Fault(.user, "\(other) is for Kafka; say where that is: --bootstrap-server HOST:PORT")
            }
            summary = try load.runToStandardOutput()
        }
        if let path = arguments.value("--labels") { try load.writeLabels(to: path) }
        Log.info("\(summary.events) events in \(summary.milliseconds) ms")
        return ExitCode.done
    }

    private static func generateLibrary(_ folder: String, _ arguments: Arguments) throws(Fault) -> Int32 {
        let others =
            ["--warm-up-days", "--events", "--rate", "--now", "--labels", "--bootstrap-server", "--topic"]
            + KafkaArguments.options.keys.sorted()
        if let other = others.first(where: { arguments.has($0) }) {
            throw Fault(.user, "--library writes a whole month to files; \(other) does not go with it")
        }
        var options = LibraryOptions()
        if let seed = try arguments.integer("--seed", in: 0...Int.max) { options.seed = UInt64(seed) }
        if let merchants = try arguments.integer("--merchants", in: 1...Int.max) {
            options.merchants = merchants
        }
        if let days = try arguments.integer("--days", in: 1...Int.max) { options.days = days }
        if let orders = try arguments.integer("--orders-per-day", in: 1...Int.max) {
            options.ordersPerDay = orders
        }
        let summary = try LibraryMonth.write(options, to: folder)
        let planted = summary.labels.count { !$0.isNearMiss }
        Log.info(
            "\(summary.records) records, \(planted) planted cases and \(summary.labels.count - planted) near misses "
                + "in \(folder)"
        )
        return ExitCode.done
    }
}
