import { BadPage } from '../errors.ts'

/** A list's `page` and `newest`: words of the store's own, which others hand back and never read. */
export function encodePage(words: string): string {
  return Buffer.from(words).toString('base64url')
}

/** Throws `BadPage` where `read` makes nothing of its words, or they are not written as the store writes them. */
export function decodePage<Boundary>(page: string, read: (words: string) => Boundary | null): Boundary {
  const words = Buffer.from(page, 'base64url').toString()
  const boundary = encodePage(words) === page ? read(words) : null
  if (boundary === null) throw new BadPage('this page is none that a list returned')
  return boundary
}
