import Base
import Connectors
import Engine
import Http

/// The end points of one subject, over what the console has.
protocol ApiPart {
    var console: Console { get }
}

extension ApiPart {
    var options: Console.Options { console.options }
    var index: AlertIndex { console.index }
    var sessions: Sessions { console.sessions }
    var board: TopologyBoard { console.board }
    var hub: EventHub { console.hub }
    var follower: ConsoleFollower { console.follower }
    var jobs: Jobs { console.jobs }
    var watch: WorkerWatch { console.watch }
    var people: UsersFile { console.people }

    func now() -> Int64 { console.now() }
    func ledger(_ topology: String) -> TopologyLedger { console.ledger(topology) }

    var indexJson: Json {
        let progress = follower.progress
        return .object([
            ("ready", .bool(!index.isBuilding)), ("done", .int(progress.done)),
            ("total", .int(progress.total)),
        ])
    }

    /// What the index or Kafka say, as the API says it.
    func asked<Result>(_ body: () throws(Fault) -> Result) throws(ApiError) -> Result {
        do throws(Fault) { return try body() } catch { throw ApiError(error) }
    }

    func topology(_ call: Call) throws(ApiError) -> TopologyState {
        try board.topology(call.values["topology"] ?? "")
    }

    func kafka(of topology: String) -> KafkaSettings {
        var settings = options.kafka
        settings.group = topology
        return settings
    }
}
