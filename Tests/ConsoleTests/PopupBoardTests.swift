import Base
import Engine
import Foundation
import Testing

@testable import Console
@testable import Outlets

/// Goal: popups are what the notifier posted for the console, to whom it is for, for an hour. Method: its log
/// of deliveries, as it writes it.
@Suite struct PopupBoardTests {
    private func record(_ recipient: String, _ alert: String, at: Int64, status: String = "posted") throws
        -> [UInt8]
    {
        let contact = try #require(NotifyContact(recipient))
        let message = NotifyMessage(
            topology: "watch", route: "all", contact: contact, kind: .alert, step: 0, createdAt: at,
            giveUpAt: at,
            alerts: [
                AlertBrief(
                    id: alert, revision: 1, isCleared: false, severity: .high, rule: "burst", risk: "r",
                    customer: "M1", measure: "", message: "m", eventTime: "2026-01-01T00:00:00Z")
            ])
        let send = PendingSend(message: message, watch: nil, next: at)
        return Array(DeliveryRecord.json(send, SendOutcome(.delivered), status: status, next: nil, at).utf8)
    }

    @Test func toWhomTheyAreForAndForAnHour() throws {
        let board = PopupBoard()
        #expect(board.take(try record("desk", "a", at: 1000), topology: "watch", now: 1000))
        #expect(board.take(try record("lin/desk", "b", at: 2000), topology: "watch", now: 2000))
        #expect(
            try !board.take(
                record("lin/mail", "c", at: 3000, status: "delivered"), topology: "watch", now: 3000))
        #expect(!board.take(Array(#"{"status":"posted"}"#.utf8), topology: "watch", now: 3000))
        #expect(!board.take(Array(#""status":"posted""#.utf8), topology: "watch", now: 3000))
        func shown(_ name: String, after: Int = 0, now: Int64 = 4000) -> [String] {
            board.popups(for: name, after: after, now: now).popups.flatMap(\.alerts)
        }
        #expect(shown("lin") == ["a", "b"])
        #expect(shown("li") == ["a"])
        let newest = board.popups(for: "lin", after: 0, now: 4000).newest
        #expect(shown("lin", after: newest) == [])
        // Sent again: shown again, once.
        #expect(board.take(try record("desk", "a", at: 5000), topology: "watch", now: 5000))
        #expect(shown("lin", after: newest) == ["a"])
        #expect(shown("lin", now: 5000 + PopupBoard.milliseconds) == [])
        #expect(
            try !board.take(record("desk", "d", at: 1), topology: "watch", now: 2 + PopupBoard.milliseconds))
    }

    @Test func theyAreBounded() throws {
        let board = PopupBoard()
        for number in 0..<PopupBoard.popupsMax + 10 {
            #expect(board.take(try record("desk", "a\(number)", at: 1000), topology: "watch", now: 1000))
        }
        let found = board.popups(for: "lin", after: 0, now: 1000).popups
        #expect(found.count == PopupBoard.popupsMax)
        #expect(found.first?.alerts == ["a10"])
    }

    @Test func ruleTextsAreValuesOfTheFile() {
        let text = """
            rules:
              a: { on: s, when: x > 1, message: "{shop}: \\"much\\"", clear: 'x < 1' }
              b:
                on: s
                when: x > 1
                message: >-
                  two
                  lines
            """
        let list = ParameterList(RuleSetText(file: "f", text: text, parameters: [:]))
        #expect(list.ruleMembers["a"]?["message"] == "{shop}: \"much\"")
        #expect(list.ruleMembers["a"]?["clear"] == "x < 1")
        #expect(list.ruleMembers["b"]?["message"] == "two lines")
    }
}
