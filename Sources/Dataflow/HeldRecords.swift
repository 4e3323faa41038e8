import Records

/// Records that a source has handed over for good: they stay valid until this object goes.
package final class HeldRecords {
    package let raw: RawRecords
    private let release: () -> Void

    /// `release` is called when nobody needs them any more.
    package init(_ raw: RawRecords, release: @escaping () -> Void) {
        self.raw = raw
        self.release = release
    }

    deinit { release() }
}
