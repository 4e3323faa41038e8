/// A binary number as a decimal of `scale` digits, the nearest, half to even; nil: it is none, or does not
/// fit in 64 bits. `power`: 10 to the scale, exactly. The only way out of binary floating point.
func decimal(_ value: Double, power: Double) -> Int64? {
    let product = value * power
    guard product.magnitude < 9.2e18 else { return nil }
    let rounded = product.rounded(.toNearestOrEven)
    // What the product is off by decides where it seems to lie in the middle.
    let rest = (-product).addingProduct(value, power)
    let floor = product.rounded(.down)
    if product - floor == 0.5, rest != 0 { return Int64(rest > 0 ? floor + 1 : floor) }
    return Int64(rounded)
}
