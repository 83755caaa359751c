/**
 * What those who compress an answer on its way write into its tag: Apache and Caddy `-gzip`, Jetty `--gzip`, others `;gzip`.
 * Whoever asks with such a tag has the same content.
 */
const CODING = /(?:--?|;)(?:x-)?(?:gzip|br|deflate|zstd|compress)(?="$)/i

/**
 * Whether `If-None-Match` names this entity tag: weak comparison, a list, or `*` (RFC 9110 section 13.1.2), whatever
 * coding is named in the caller's.
 */
export function matchesEtag(header: string, etag: string): boolean {
  if (header.trim() === '*') return true
  const strong = (tag: string) => tag.replace(/^W\//, '')
  const wanted = strong(etag)
  return (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some((tag) => {
    const given = strong(tag)
    return given === wanted || given.replace(CODING, '') === wanted
  })
}
