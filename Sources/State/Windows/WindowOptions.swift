import Base

/// What a `WindowStore` keeps of a step's windows.
package struct WindowOptions {
    package var length: PaneClock.Length
    /// Panes of a window.
    package var span: Int
    package var excludesCurrent: Bool
    /// How far event time may run ahead of the watermark, milliseconds.
    package var outOfOrder: Int64
    /// True where records may lie further ahead than that: those of a stream or a repartition topic.
    package var mayRunAhead: Bool
    package var keepsClosed: Bool
    /// False where nobody reads the window before it closes: the running totals are then left out.
    package var keepsRunning: Bool
    /// True where changed panes are asked for, to be kept elsewhere as well.
    package var tracksChanges: Bool
    /// Of panes that lie ahead of what the rings reach.
    package var aheadBytesMax = Limits.aheadBytesMax
    package var aggregates: [Aggregate]

    package init(
        length: PaneClock.Length, span: Int, excludesCurrent: Bool, outOfOrder: Int64,
        mayRunAhead: Bool = false, keepsClosed: Bool, keepsRunning: Bool = true, tracksChanges: Bool = false,
        aggregates: [Aggregate]
    ) {
        self.length = length
        self.span = span
        self.excludesCurrent = excludesCurrent
        self.outOfOrder = outOfOrder
        self.mayRunAhead = mayRunAhead
        self.keepsClosed = keepsClosed
        self.keepsRunning = keepsRunning
        self.tracksChanges = tracksChanges
        self.aggregates = aggregates
    }
}
