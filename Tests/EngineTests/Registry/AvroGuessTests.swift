import Engine
import Foundation
import Testing
import Topology

/// A container says what is in it, so that little has to be guessed.
@Suite struct AvroGuessTests {
    private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("FileTests/Fixtures/orders-deflate.avro").path

    @Test func theSchemaBecomesTheSource() throws {
        let yaml = try SourceGuess(path: Self.file, name: "orders", zone: nil).yaml
        let (spec, diagnostics) = TopologyReader.read(yaml, file: "orders.yaml")
        #expect(spec != nil, "\(diagnostics)")
        for line in [
            "format: { type: avro }", "time: { field: event_time }", "amount: decimal(2)", "fee: decimal(4)?",
            "seen: timestamp?", "status: text", "\"customer.name\": text?", "took: duration", "vip: bool",
            "# left out: items (array)", "zone: UTC    # unsure",
        ] {
            #expect(yaml.contains(line), "\(line) is not in \(yaml)")
        }
    }
}
