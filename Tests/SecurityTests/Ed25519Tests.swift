import Base
import Testing

@testable import Security

/// Goal: signatures are those of RFC 8032, and nothing else verifies. Method: test 2 of its section 7.1 in
/// PEM, then every byte changed.
@Suite struct Ed25519Tests {
    static let secret = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7
        -----END PRIVATE KEY-----
        """
    static let open = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=
        -----END PUBLIC KEY-----
        """
    static let signature: [UInt8] = [
        0x92, 0xA0, 0x09, 0xA9, 0xF0, 0xD4, 0xCA, 0xB8, 0x72, 0x0E, 0x82, 0x0B, 0x5F, 0x64, 0x25, 0x40,
        0xA2, 0xB2, 0x7B, 0x54, 0x16, 0x50, 0x3F, 0x8F, 0xB3, 0x76, 0x22, 0x23, 0xEB, 0xDB, 0x69, 0xDA,
        0x08, 0x5A, 0xC1, 0xE4, 0x3E, 0x15, 0x99, 0x6E, 0x45, 0x8F, 0x36, 0x13, 0xD0, 0xF1, 0x1D, 0x8C,
        0x38, 0x7B, 0x2E, 0xAE, 0xB4, 0x30, 0x2A, 0xEE, 0xB0, 0x0D, 0x29, 0x16, 0x12, 0xBB, 0x0C, 0x00,
    ]

    @Test func theVectorOfTheRfc() throws {
        let key = try SigningKey(pem: Self.secret, name: "lin.key")
        #expect(try key.sign([0x72]) == Self.signature)
        #expect(try VerifyingKey(pem: Self.open, name: "lin.pub").verifies(Self.signature, of: [0x72]))
    }

    @Test func nothingElseVerifies() throws {
        let key = try VerifyingKey(pem: Self.open, name: "lin.pub")
        for index in Self.signature.indices {
            var other = Self.signature
            other[index] ^= 1
            #expect(!key.verifies(other, of: [0x72]))
        }
        #expect(!key.verifies(Self.signature, of: [0x73]))
        #expect(!key.verifies(Self.signature, of: []))
        #expect(!key.verifies([], of: [0x72]))
        #expect(!key.verifies(Self.signature + [0], of: [0x72]))
    }

    @Test func whatIsNoKeyIsRefused() {
        for text in ["", "nonsense", "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----", Self.open]
        {
            #expect(throws: Fault.self) { try SigningKey(pem: text, name: "lin.key") }
        }
        for text in ["", "nonsense", Self.secret] {
            #expect(throws: Fault.self) { try VerifyingKey(pem: text, name: "lin.pub") }
        }
    }
}
