/// How a shop's orders are: the defaults are ordinary trade, a case changes some of it. Shares in
/// thousandths, times in milliseconds.
struct TradeHabits {
    /// Of the orders after six in the morning.
    var kept: Int64 = 1000
    var price: Int64 = 1000
    var otherCategory: Int64 = 15
    var refunded: Int64
    var otherCity: Int64 = 30
    var signed: Int64 = 970
    /// Customs: the share without a record, how long after shipping it comes, and what it says of the amount.
    var undeclared: Int64 = 5
    var declaredAfter = Marketplace.hour...12 * Marketplace.hour
    var declared: ClosedRange<Int64> = 970...1030
    /// Logistics: the same, and how many parcels the value is for.
    var unrecorded: Int64 = 5
    var deliveredAfter = 20 * Marketplace.hour...60 * Marketplace.hour
    var misvalued: Int64 = 0
    var parcelValue: ClosedRange<Int64> = 970...1030

    init(_ shop: LibraryShop) { refunded = shop.refundPerMille }

    init(_ shop: LibraryShop, _ plant: LibraryPlant) {
        self.init(shop)
        let hour = Marketplace.hour
        switch (plant.rule, plant.isNearMiss) {
        // Shipped from elsewhere, over 3 days and 20 parcels: too much is half.
        case (.addressMismatch, false): otherCity = 800
        case (.addressMismatch, true): otherCity = 220

        // Signed for over 3 days and 20 parcels: too few are 60 % while refunds, below 10 % of the orders, do
        // not say where the others went. The near miss has a slow carrier and a bad batch that comes back.
        case (.signoffReturns, false): signed = 350
        case (.signoffReturns, true): (signed, refunded) = (800, 150)

        // Declared against sold, over 3 days and 20 orders: too little is 60 %.
        case (.declaredValue, false): declared = 400...500
        case (.declaredValue, true): declared = 830...870

        // Without a customs record a day after shipping, over 3 days and 15 orders: too many are 40 %.
        case (.missingCustoms, false): undeclared = 650
        case (.missingCustoms, true) where plant.number % 2 == 0: undeclared = 150
        case (.missingCustoms, true): declaredAfter = 14 * hour...22 * hour

        // Without a logistics record four days after shipping, over 3 days and 15 orders: too many are 40 %.
        case (.missingLogistics, false): unrecorded = 650
        case (.missingLogistics, true) where plant.number % 2 == 0: unrecorded = 150
        case (.missingLogistics, true): deliveredAfter = 62 * hour...84 * hour

        // Parcels worth 30 % more or less than their order, over 3 days: too many are 10.
        case (.valueMismatch, false): (misvalued, parcelValue) = (700, 300...500)
        case (.valueMismatch, true): (misvalued, parcelValue) = (1000, 840...920)

        // Today's mean price, from 10 orders on, against that of the week before: too much is twice.
        case (.priceJump, false): (price, kept) = (3000, 700)
        case (.priceJump, true): price = 1300

        // Orders outside the shop's category, over a day and 10 orders: too many are half.
        case (.categoryJump, false): otherCategory = 800
        case (.categoryJump, true): otherCategory = 120

        // Orders between midnight and six, over 24 hours and 15 of them: too many are half. What comes by
        // night is in `LibraryTrade.plant`.
        case (.oddHours, false): kept = 250
        default: break
        }
    }
}
