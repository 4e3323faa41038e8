import Base
import Engine
import Marketplace

/// Options that say what a synthetic marketplace is like.
enum MarketplaceArguments {
    static func read(_ arguments: Arguments) throws(Fault) -> MarketplaceOptions {
        var options = MarketplaceOptions(
            seed: UInt64(try arguments.integer("--seed", in: 0...Int.max) ?? 1),
            merchants: try arguments.integer("--merchants", in: 1...Limits.marketplaceMerchantsMax) ?? 500,
            ordersPerDay: try arguments.integer("--orders-per-day", in: 1...Int.max) ?? 32_000
        )
        let days = try arguments.integer("--days", in: 1...100_000) ?? 10
        options.durationMilliseconds = Int64(days) * Marketplace.day
        if let warmUp = try arguments.integer("--warm-up-days", in: 0...100_000) {
            options.warmUpMilliseconds = Int64(warmUp) * Marketplace.day
        }
        if let events = try arguments.integer("--events", in: 0...Int.max) { options.eventsMax = events }
        if arguments.has("--now") { options.startMilliseconds = SystemClock().nowMilliseconds }
        return options
    }
}
