import Testing

@testable import Console

/// Goal: files of users name roles by these words. Method: the list.
@Suite struct RoleTests {
    @Test func names() {
        #expect(
            Role.allCases.map(\.rawValue) == ["viewer", "analyst", "author", "approver", "operator", "admin"])
    }
}
