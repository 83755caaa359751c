import { Link, useRoute } from 'wouter'
import classes from './header.module.css'
import { Mark } from './mark.tsx'
import { SchemeToggle } from './scheme-toggle.tsx'
import { SignOut } from './sign-out.tsx'
import { TransportBadge } from './transport-badge.tsx'

export function Header() {
  const [onHome] = useRoute('/')
  const [onJob] = useRoute('/jobs/:id')
  const [onOverview] = useRoute('/overview')
  return (
    <header className={classes.header}>
      <div className={classes.inner}>
        <Link href="/" className={classes.brand} aria-label="Jobcast, to the jobs">
          <Mark />
          <span>Jobcast</span>
        </Link>
        <nav className={classes.nav} aria-label="Pages">
          <Link href="/" className={classes.link} aria-current={current(onHome || onJob)}>
            Jobs
          </Link>
          <Link href="/overview" className={classes.link} aria-current={current(onOverview)}>
            Overview
          </Link>
        </nav>
        <div className={classes.tools}>
          <TransportBadge />
          <SchemeToggle />
          <SignOut />
        </div>
      </div>
    </header>
  )
}

function current(isHere: boolean): 'page' | undefined {
  return isHere ? 'page' : undefined
}
