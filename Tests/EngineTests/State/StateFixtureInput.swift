import Base
import Foundation

/// One record of a fixture's input, and the records that fixtures were made of. They are the same for ever:
/// another state would not be the one that was kept.
struct StateFixtureInput {
    var source: String
    var key: String
    var json: String

    private static let start: Int64 = 1_700_000_000_000

    /// Records of a fixture, about two seconds apart and up to four seconds out of order.
    static func records(_ fixture: String) -> [StateFixtureInput] {
        var random = SplitMix64(seed: 18)
        return (0..<480).map { number in
            let time = start + Int64(number) * 1000 + Int64(random.next() % 5) * 1000 - 4000
            return fixture == "flow"
                ? flow(number, time, &random) : everything(fixture, number, time, &random)
        }
    }

    private static func flow(_ number: Int, _ time: Int64, _ random: inout SplitMix64) -> StateFixtureInput {
        let (from, to) = (random.next() % 6, random.next() % 6)
        let amount = 1 + random.next() % 60
        if number % 12 == 0 {
            return StateFixtureInput(
                source: "loans",
                key: "A\(from)",
                json:
                    "{\"loan\":\"L\(number)\",\"account\":\"A\(from)\",\"amount\":\(100 + amount),\"time\":\(time)}"
            )
        }
        return StateFixtureInput(
            source: "transfers",
            key: "A\(from)",
            json: "{\"id\":\(number),\"source\":\"A\(from)\",\"target\":\"A\(to)\",\"amount\":\(amount),"
                + "\"cash\":\(random.next() % 8 == 0),\"time\":\(time)}"
        )
    }

    private static func everything(
        _ fixture: String,
        _ number: Int,
        _ time: Int64,
        _ random: inout SplitMix64
    ) -> StateFixtureInput {
        let (shop, user) = ("S\(random.next() % 4)", "U\(random.next() % 3)")
        let (kind, isFlagged) = (["a", "b", "c"][Int(random.next() % 3)], random.next() % 2 == 0)
        let cents = random.next() % 900
        let amount = random.next() % 9 == 0 ? "null" : "\(cents / 100).\(cents % 100 / 10)\(cents % 10)"
        let order = StateFixtureInput(
            source: "orders",
            key: shop,
            json:
                "{\"id\":\(number),\"shop\":\"\(shop)\",\"user\":\"\(user)\",\"kind\":\"\(kind)\",\"amount\":\(amount),"
                + "\"flag\":\(isFlagged),\"time\":\(time)}"
        )
        guard fixture == "everything" else { return order }
        let other = random.next() % 6
        switch random.next() % 10 {
        case 0:
            return StateFixtureInput(
                source: "parcels",
                key: shop,
                json:
                    "{\"ref\":\(max(0, number - Int(other) * 3)),\"shop\":\"\(shop)\",\"size\":\(cents),\"time\":\(time)}"
            )
        case 1:
            // Two days before the others.
            return StateFixtureInput(
                source: "feed",
                key: shop,
                json: "{\"shop\":\"\(shop)\",\"amount\":\(amount),\"time\":\(time + 172_800_000)}"
            )
        case 2:
            return StateFixtureInput(
                source: "registry",
                key: shop,
                json: other == 0
                    ? "{\"shop\":\"\(shop)\",\"since\":\(time),\"_deleted\":true}"
                    : "{\"shop\":\"\(shop)\",\"city\":\"C\(other)\",\"grade\":\(cents % 10),\"since\":\(time)}"
            )
        case 3:
            return StateFixtureInput(
                source: "warnings",
                key: user,
                json: "{\"customer\":\"\(user)\",\"at\":\(time),\"item\":\"i\(other)\","
                    + "\"state\":\"\(kind == "c" ? "cleared" : "raised")\",\"weight\":\(cents / 200).\(cents % 10)}"
            )
        case 4 where other < 3:
            let action = ["suppress", "snooze", "resume"][Int(other)]
            return StateFixtureInput(
                source: "control",
                key: user,
                json:
                    "{\"customer\":\"\(user)\",\"at\":\(time),\"item\":\(action == "snooze" ? "null" : "\"i\(cents % 6)\""),"
                    + "\"action\":\"\(action)\",\"until\":\(time + 20_000),\"reason\":\"because\",\"owner\":\"desk\"}"
            )
        default: return order
        }
    }

    /// Beyond all that the records lead to.
    static let end = start + 10 * 86_400_000
}
