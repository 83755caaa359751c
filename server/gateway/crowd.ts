/** A set that takes memory only with its second member: nearly always there is one. */
export type Crowd<Member extends object> = Member | Set<Member> | null

export function joined<Member extends object>(crowd: Crowd<Member>, one: Member): Crowd<Member> {
  if (crowd === null || crowd === one) return one
  return crowd instanceof Set ? crowd.add(one) : new Set([crowd, one])
}

export function without<Member extends object>(crowd: Crowd<Member>, one: Member): Crowd<Member> {
  if (crowd === one) return null
  if (!(crowd instanceof Set)) return crowd
  crowd.delete(one)
  return crowd.size === 0 ? null : crowd
}

export function members<Member extends object>(crowd: Crowd<Member>): Iterable<Member> {
  if (crowd === null) return []
  return crowd instanceof Set ? crowd : [crowd]
}
