/** The mark: a point that sends. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#2f5bea" />
      <circle cx="10" cy="22" r="3" fill="#fff" />
      <path
        d="M10 14a8 8 0 0 1 8 8M10 7.5A14.5 14.5 0 0 1 24.5 22"
        stroke="#fff"
        strokeWidth="3"
        strokeLinecap="round"
      />
    </svg>
  )
}
