import Base
import Models
import Records
import Synchronization

/// What the notifier has for people at the console: messages of `popup` channels of the last hour, as its log
/// of deliveries tells them (`posted`).
package final class PopupBoard: Sendable {
    package struct Popup: Sendable {
        package var id: String
        package var topology: String
        /// Empty: for everybody.
        package var person: String
        /// alert, cleared, escalation, digest
        package var kind: String
        package var severity: String
        package var customer: String
        package var alerts: [String]
        package var at: Int64
        /// Ascending, in the order in which they came.
        package var number = 0
    }

    package static let milliseconds: Int64 = 3_600_000
    /// The oldest make place for newer ones; their alerts stand in the inbox.
    package static let popupsMax = 500
    private static let alertsMax = 200
    private static let mark = Array(#""status":"posted""#.utf8)

    private struct State {
        var popups: [Popup] = []
        var number = 0
    }
    private let state = Mutex(State())

    package init() {}

    /// Takes a record of `<topology>-deliveries`; false: it is none for the console.
    package func take(_ value: [UInt8], topology: String, now: Int64) -> Bool {
        guard value.contains(Self.mark), let popup = try? Self.popup(value, topology),
            now - popup.at < Self.milliseconds
        else { return false }
        state.withLock { state in
            state.number += 1
            // What is sent again is shown again.
            state.popups.removeAll { $0.id == popup.id || now - $0.at >= Self.milliseconds }
            if state.popups.count >= Self.popupsMax { state.popups.removeFirst() }
            var popup = popup
            popup.number = state.number
            state.popups.append(popup)
        }
        return true
    }

    private static func popup(_ value: [UInt8], _ topology: String) throws(Fault) -> Popup {
        let node = DocumentNode(try JsonDocument.read(value))
        let recipient = try node["recipient"].text.split(separator: "/")
        return Popup(
            id: try node["id"].text, topology: topology,
            person: recipient.count == 2 ? String(recipient[0]) : "", kind: try node["kind"].text,
            severity: try node["severity"].text, customer: try node.optional("customer")?.text ?? "",
            alerts: Array(try node["alerts"].texts.prefix(alertsMax)),
            at: CivilTime.parse(try node["at"].text)?.milliseconds ?? 0)
    }

    /// Those that `name` is told and that came behind a number, oldest first, and the newest number.
    package func popups(for name: String, after number: Int, now: Int64) -> (popups: [Popup], newest: Int) {
        state.withLock { state in
            guard number < state.number else { return ([], state.number) }
            let found = state.popups.filter {
                $0.number > number && ($0.person.isEmpty || $0.person == name)
                    && now - $0.at < Self.milliseconds
            }
            return (found, state.number)
        }
    }
}
