/** Whether `If-None-Match` names this entity tag: weak comparison, a list, or `*` (RFC 9110 section 13.1.2). */
export function matchesEtag(header: string, etag: string): boolean {
  if (header.trim() === '*') return true
  const strong = (tag: string) => tag.replace(/^W\//, '')
  return (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((tag) => strong(tag) === strong(etag))
}
