import Base
import Foundation
import Testing

/// Goal: state that a build before this one has kept is gone on with, and nothing of it is lost. Method: of
/// each format there is a small state that holds one of everything, as files. It is put back, compared with
/// what it was, and goes on side by side with a run that was never restored.
///
/// `MILLRACE_WRITE_FIXTURES=1` with the filter `StateFixtureTests` writes the state of today's format, where
/// there is none yet.
@Suite struct StateFixtureTests {
    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["MILLRACE_WRITE_FIXTURES"] == "1"),
        arguments: StateFixture.topologies
    )
    func write(topology: String) throws {
        let run = try StateFixture.run(topology)
        let fixture = StateFixture(topology: topology, formats: try StateFixture.formats(of: run))
        guard !StateFixture.all.contains(where: { $0.topology == topology && $0.formats == fixture.formats })
        else { return }
        try fixture.write(run)
    }

    /// Goal: no format is changed without a state of it being kept here.
    @Test(arguments: StateFixture.topologies) func todaysFormatIsKept(topology: String) throws {
        let formats = try StateFixture.formats(of: StateFixture.run(topology))
        #expect(StateFixture.all.contains { $0.topology == topology && $0.formats == formats }, "\(formats)")
    }

    @Test(arguments: StateFixture.read.indices, [false, true]) func isRestored(index: Int, fromSnapshot: Bool)
        throws
    {
        let fixture = StateFixture.read[index]
        let rest = StateFixture.parts(fixture.topology).rest
        let straight = try StateFixture.run(fixture.topology)
        let before = straight.outputs.count
        try straight.take(rest)
        straight.finish(at: StateFixtureInput.end)
        let wanted = Array(straight.outputs[before...])

        let run = try fixture.begin()
        try run.restore(fixture.changelogs(), fromSnapshot ? fixture.snapshots() : nil)
        Self.compare(run.description(), try fixture.state(), "\(fixture)")
        try run.take(rest)
        // What was kept before and what this build keeps of it are one changelog.
        let again = try fixture.begin()
        try again.restore(run.changelogs, nil)
        Self.compare(again.description(), run.description(), "\(fixture), restored once more")
        run.finish(at: StateFixtureInput.end)
        Self.compare(run.outputs, wanted, "\(fixture), gone on with")
    }

    /// Goal: what cannot be gone on with is refused by name, before anything is taken.
    @Test(arguments: StateFixture.refused.indices) func isRefused(index: Int) throws {
        let fixture = StateFixture.refused[index]
        let fault = #expect(throws: Fault.self) { try fixture.begin().restore(fixture.changelogs(), nil) }
        #expect(fault?.domain == .user)
        #expect(
            fault?.detail.contains("step 'flow' was kept as fund flow fifo") == true,
            "\(fault?.detail ?? "")"
        )
        #expect(fault?.detail.contains("now says fund flow in one task") == true, "\(fault?.detail ?? "")")
    }

    static func compare(_ found: [String], _ wanted: [String], _ what: String) {
        let missing = wanted.filter { !found.contains($0) }
        let strange = found.filter { !wanted.contains($0) }
        #expect(
            missing.isEmpty && strange.isEmpty,
            "\(what): \(missing.count) missing, \(strange.count) strange of \(wanted.count); \(missing.first ?? "none"); \(strange.first ?? "none")"
        )
        let index = zip(found, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        #expect(
            index == nil && found.count == wanted.count,
            "\(what): \(found.count) of \(wanted.count), another one at \(index ?? -1)"
        )
    }
}
