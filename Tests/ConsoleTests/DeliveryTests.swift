import Base
import Foundation
import Models
import Testing

@testable import Console
@testable import Outlets

/// Goal: who was told of an alert is shown. Method: records as the notifier writes them, into an index and
/// out of it again.
@Suite struct DeliveryTests {
    @Test func triesAreShownForEachAlertThatTheyTellOf() throws {
        let folder =
            NSTemporaryDirectory() + "/millrace-deliveries-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        mkdir(folder, 0o700)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let index = try AlertIndex(folder: folder, cluster: "c")
        func brief(_ id: String) -> AlertBrief {
            AlertBrief(
                id: id, revision: 1, isCleared: false, severity: .high, rule: "burst", risk: "r",
                customer: "M1", measure: "",
                message: "m", eventTime: "2026-01-01T00:00:00Z")
        }
        let contact = try #require(NotifyContact("lin/mail"))
        func send(_ ids: [String]) -> PendingSend {
            var send = PendingSend(
                message: NotifyMessage(
                    topology: "watch", route: "grave", contact: contact, kind: .alert, step: 0, createdAt: 0,
                    giveUpAt: 1000,
                    alerts: ids.map(brief)),
                watch: nil, next: 0)
            send.tries = 2
            return send
        }
        let records = [
            DeliveryRecord.json(
                send(["a", "b"]), SendOutcome(.refused, code: 503, text: "busy"), status: "failed", next: 5,
                1000),
            DeliveryRecord.json(
                send(["a", "b"]), SendOutcome(.delivered, code: 250, text: "kept"), status: "delivered",
                next: nil, 2000),
            DeliveryRecord.json(
                send([]), SendOutcome(.dead, code: 404, text: "nobody"), status: "dead", next: nil, 3000),
        ]
        try index.take(
            records.enumerated().map { offset, record in
                AlertIndex.Entry(
                    topic: "watch-deliveries", partition: 0, offset: Int64(offset), value: Array(record.utf8),
                    kind: .delivery)
            })
        #expect(index.unreadable == 0)
        func shown(_ condition: String, _ values: [String]) throws -> [String] {
            try index.deliveries(condition, values, after: nil, limit: 10).rows.map { row in
                let node = DocumentNode(try JsonDocument.read(Array(row.utf8)))
                func text(_ name: String) -> String { (try? node.optional(name)?.text) ?? "-" }
                return
                    "\(text("alert_id")) \(text("state")) \(text("recipient")) \(text("channel")) \(text("status")) \(text("error")) \(text("topology")) "
                    + "\(try node["attempts"].integer)"
            }
        }
        #expect(
            try shown("alert_id = ?", ["a"]) == [
                "a accepted lin/mail mail 250 - watch 2", "a waiting lin/mail mail 503 busy watch 2",
            ])
        #expect(try shown("alert_id = ?", ["b"]).count == 2)
        #expect(
            try shown("topology = ? AND state = ?", ["watch", "failed"]) == [
                "- failed lin/mail mail 404 nobody watch 2"
            ])
        #expect(try shown("1", []).count == 5)
    }
}
