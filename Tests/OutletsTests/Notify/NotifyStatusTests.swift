import Base
import Testing
import Topology

@testable import Outlets

/// Goal: what a notifier counts is what happened, by channel. Method: one message of each fate.
@Suite struct NotifyStatusTests {
    private func value(_ text: String, _ name: String, _ channel: String? = nil) -> Int? {
        let labels = channel.map { #"topology="t",channel="\#($0)""# } ?? #"topology="t""#
        return text.split(separator: "\n").first { $0.hasPrefix("\(name){\(labels)} ") }
            .flatMap { Int($0.split(separator: " ")[1]) }
    }

    @Test func eachFateIsCounted() throws {
        var machine = NotifyMachine(NotifyMachineTests.config(), topology: "t")
        var now: Int64 = 1_800_000_000_000
        func step(_ number: Int) -> [PendingSend] {
            machine.take(
                NotifyReaderTests.alert("a\(number)", .critical, customer: "C\(number)"), at: now, now)
            machine.advance(to: now)
            return machine.takeOutputs().tries
        }
        func outcome(_ send: PendingSend, _ outcome: SendOutcome) {
            machine.take(outcome, of: send.message.id, finishedAt: now, now)
        }
        let first = step(1)
        #expect(Set(first.map { "\($0.message.contact)" }) == ["cases", "zhang/sms", "li/mail"])
        #expect(NotifyStatus.oldest(machine) == now)
        for send in first {
            switch send.message.contact.channel {
            case "cases": outcome(send, SendOutcome(.refused, code: 503))
            case "sms": outcome(send, SendOutcome(.delivered, code: 200))
            default: outcome(send, SendOutcome(.dead, code: 550))
            }
        }
        now += 2_500
        var text = NotifyStatus.text(machine, now)
        #expect(value(text, "millrace_notify_sent_total", "desk") == 1)
        #expect(value(text, "millrace_notify_sent_total", "sms") == 1)
        #expect(value(text, "millrace_notify_failed_total", "cases") == 1)
        #expect(value(text, "millrace_notify_retried_total", "cases") == 1)
        #expect(value(text, "millrace_notify_given_up_total", "cases") == 0)
        #expect(value(text, "millrace_notify_given_up_total", "mail") == 1)
        #expect(value(text, "millrace_notify_failed_total", "mail") == 1)
        #expect(value(text, "millrace_notify_messages_waiting") == 1)
        #expect(value(text, "millrace_notify_oldest_message_seconds") == 2)
        // Three messages a minute go to a number; what comes then waits.
        for number in 2...6 {
            for send in step(number) { outcome(send, SendOutcome(.delivered, code: 200)) }
        }
        text = NotifyStatus.text(machine, now)
        #expect(value(text, "millrace_notify_sent_total", "sms") == 3)
        #expect(try #require(value(text, "millrace_notify_throttled_total", "sms")) >= 3)
        #expect(value(text, "millrace_notify_throttled_total", "cases") == 0)
        #expect(value(text, "millrace_notify_alerts_total") == 6)
    }
}
