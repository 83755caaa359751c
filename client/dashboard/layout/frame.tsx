import { type ReactNode, useEffect, useRef } from 'react'
import classes from './frame.module.css'
import { Header } from './header.tsx'

/** What is around every page: the header, and a main part that takes the focus when the page changes. */
export function Frame({ children }: { children: ReactNode }) {
  const main = useRef<HTMLElement>(null)

  useEffect(() => {
    // wouter announces its own navigation by this event; going back keeps the browser's scroll position.
    const arrive = () => {
      window.scrollTo(0, 0)
      main.current?.focus({ preventScroll: true })
    }
    window.addEventListener('pushState', arrive)
    return () => window.removeEventListener('pushState', arrive)
  }, [])

  return (
    <>
      <a className={classes.skip} href="#main">
        Skip to content
      </a>
      <Header />
      <main id="main" ref={main} tabIndex={-1} className={classes.main}>
        {children}
      </main>
    </>
  )
}
