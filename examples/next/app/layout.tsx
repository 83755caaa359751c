import './globals.css'
import { JobcastProvider } from 'jobcast/react'
import type { ReactNode } from 'react'

export const metadata = { title: 'Landscapes' }

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <JobcastProvider baseUrl="/api/jobcast">{children}</JobcastProvider>
      </body>
    </html>
  )
}
