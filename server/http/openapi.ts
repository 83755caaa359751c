import { NoQuery } from '../../shared/query.ts'
import { type Route, route } from './route.ts'

/** The description is made at the first request: neither its library nor its making costs anything at start. */
export function openApiRoutes({ version }: { readonly version: string }): Route[] {
  // As bytes, which all answers share.
  let text: Promise<Buffer<ArrayBuffer>> | undefined
  return [
    route({
      method: 'GET',
      path: '/openapi.json',
      access: 'open',
      query: NoQuery,
      async handle() {
        text ??= describe(version)
        return new Response(await text, {
          headers: { 'content-type': 'application/json', 'cache-control': 'no-cache' },
        })
      },
    }),
  ]
}

async function describe(version: string): Promise<Buffer<ArrayBuffer>> {
  const { openApiDocument } = await import('./openapi-document.ts')
  return Buffer.from(openApiDocument(version))
}
