import Base
import Connectors
import Testing

@Suite struct KafkaSettingsTests {
    @Test(arguments: [
        (
            "fetch.wait.max.msec", "1",
            "kafka.fetch.wait.max.msec: there is no such librdkafka setting; did you mean kafka.fetch.wait.max.ms?"
        ),
        ("zzzzzzzzzzzz", "1", "kafka.zzzzzzzzzzzz: there is no such librdkafka setting"),
        (
            "session.timeout.ms", "soon",
            "kafka.session.timeout.ms: Invalid value for configuration property \"session.timeout.ms\""
        ),
        (
            "security.protocol", "hunter2",
            "kafka.security.protocol: Invalid value \"hunter2\" for configuration property \"security.protocol\""
        ),
        (
            "enable.auto.commit", "true",
            "kafka.enable.auto.commit cannot be changed: positions are committed together with the results"
        ),
        ("sasl.oauthbearer.method", "hunter2", "kafka.sasl.oauthbearer.method: its value is not valid"),
    ])
    func refuses(name: String, value: String, expected: String) {
        // Goal: a wrong name or value is refused with librdkafka's reason and the nearest name; values of
        // settings that may be secret are not repeated.
        let settings = KafkaSettings(bootstrapServers: "127.0.0.1:1", raw: [name: value])
        let fault = #expect(throws: Fault.self) { try settings.check() }
        #expect(fault?.detail == expected)
        #expect(fault?.domain == .user)
    }

    @Test func takesSettingsOfBothKinds() throws {
        // Goal: one set of settings serves consumers and producers.
        let raw = ["linger.ms": "1", "fetch.wait.max.ms": "1", "sasl.password": "hunter2"]
        try KafkaSettings(bootstrapServers: "127.0.0.1:1", raw: raw).check()
    }
}
