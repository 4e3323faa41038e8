import Records

/// What is written down of a try, and of what was given up.
enum DeliveryRecord {
    static func json(
        _ send: PendingSend, _ outcome: SendOutcome, status: String, next: Int64?, _ now: Int64
    ) -> String {
        let message = send.message
        var json = JsonWriter()
        json.beginObject()
        json.member("id", message.id)
        json.name("at")
        json.timestamp(now)
        json.member("status", status)
        json.member("route", message.route)
        json.member("recipient", message.contact.description)
        json.member("channel", message.contact.channel)
        json.member("kind", message.kind.rawValue)
        json.member("step", Int64(message.step))
        json.member("severity", message.severity.rawValue)
        if let customer = message.customer { json.member("customer", customer) }
        json.name("alerts")
        json.list(message.alerts) { $0.text($1.id) }
        json.member("try", Int64(max(send.tries, 1)))
        json.member("code", Int64(outcome.code))
        json.member("ms", outcome.milliseconds)
        if !outcome.text.isEmpty { json.member("text", AlertBrief.shortened(outcome.text, 500)) }
        if let receipt = outcome.receipt { json.member("receipt", AlertBrief.shortened(receipt, 200)) }
        if let parts = outcome.parts { json.member("parts", Int64(parts)) }
        if let next {
            json.name("next_at")
            json.timestamp(next)
        }
        json.endObject()
        return json.string
    }

    static func letter(_ send: PendingSend, _ outcome: SendOutcome, _ now: Int64) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("id", send.message.id)
        json.name("at")
        json.timestamp(now)
        json.member("tries", Int64(send.tries))
        json.member("code", Int64(outcome.code))
        json.member("error", outcome.text)
        json.name("message")
        json.written(send.message.json)
        json.endObject()
        return json.string
    }

    /// Of a record of an alerts topic that is no alert.
    static func unreadable(
        _ id: String, _ topic: String, _ partition: Int32, _ offset: Int64, _ text: String, _ error: String,
        _ now: Int64
    ) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("id", id)
        json.name("at")
        json.timestamp(now)
        json.member("error", error)
        json.member("topic", topic)
        json.member("partition", Int64(partition))
        json.member("offset", offset)
        json.member("record", text)
        json.endObject()
        return json.string
    }
}
