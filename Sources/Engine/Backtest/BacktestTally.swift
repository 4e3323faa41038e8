import Base
import Dataflow
import Models
import Records

/// The raised alerts of one rule in one of the sets that are compared.
struct BacktestAlerts {
    struct Alert {
        var id: String
        var customer: String
        /// Milliseconds.
        var time: Int64
        var message: String
    }

    fileprivate(set) var alerts: [Alert] = []

    var customers: Set<String> { Set(alerts.map(\.customer)) }

    /// Alerts of each day, by its number since 1970 UTC.
    var days: [Int64: Int] {
        alerts.reduce(into: [:]) { $0[floorDivide($1.time, 86_400_000), default: 0] += 1 }
    }
}

/// Takes the alerts of a run as they are published, by the rule's name in the run.
struct BacktestTally {
    private(set) var byRule: [String: BacktestAlerts] = [:]
    /// Event times that count, milliseconds.
    let period: Range<Int64>

    init(period: Range<Int64>) { self.period = period }

    mutating func take(_ outbox: borrowing Outbox) throws(Fault) {
        for record in outbox.records {
            guard case .sink = record.destination, let value = outbox.value(of: record) else { continue }
            let alert = DocumentNode(try JsonDocument.read(Array(value)))
            guard try alert["state"].text == "raised" else { continue }
            let time = try alert["event_time"].text
            guard let time = CivilTime.parse(time)?.milliseconds else {
                throw alert.mistake("event_time: a time")
            }
            guard period.contains(time) else { continue }
            byRule[try alert["rule"].text, default: BacktestAlerts()].alerts.append(
                BacktestAlerts.Alert(
                    id: try alert["alert_id"].text, customer: try alert["customer"].text, time: time,
                    message: try alert["message"].text))
        }
    }
}
